/** In which order pods end when the host goes down, and what a node tells of itself. */

import * as assert from 'uvu/assert';
import { nodeEvents, schedulingEvent } from '../../../../pkg/agent/node/node-events.ts';
import { groupPods, shutDownNode, twoGroups } from '../../../../pkg/agent/node/shutdown.ts';
import type { Node, Pod } from '../../../../pkg/api/generated/types.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { suite } from '../../../harness/suite.ts';

function pod(uid: string, priority: number, grace = 30): Pod {
  const metadata = { name: uid, namespace: 'n', uid, resourceVersion: '1', creationTimestamp: '' };
  const spec = { containers: [], priority, terminationGracePeriodSeconds: grace };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec };
}

const CRITICAL = 2_000_000_000;

function nodeOf(ready: string, pressure = 'False', bootID = 'b', unschedulable = false): Node {
  const metadata = { name: 'one', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
  const condition = (type: string, status: string) => ({ type, status });
  const conditions = [condition('MemoryPressure', pressure), condition('Ready', ready)];
  const nodeInfo = { bootID } as NonNullable<Node['status']>['nodeInfo'] & object;
  const spec = unschedulable ? { unschedulable } : {};
  return { apiVersion: 'v1', kind: 'Node', metadata, spec, status: { conditions, nodeInfo } };
}

suite('agent: node shutdown and events', ({ test }) => {
  test('pods go by priority: each with the highest group that it reaches, the rest with the lowest', () => {
    const pods = [pod('low', -5), pod('plain', 0), pod('mid', 1500), pod('top', CRITICAL + 1000)];
    const groups = [
      { priority: CRITICAL, graceSeconds: 5 },
      { priority: 0, graceSeconds: 10 },
      { priority: 1000, graceSeconds: 20 },
    ];
    const made = groupPods(groups, pods).map((one) => [
      one.group.graceSeconds,
      one.pods.map(({ metadata }) => metadata.uid),
    ]);
    assert.equal(made, [
      [10, ['low', 'plain']],
      [20, ['mid']],
      [5, ['top']],
    ]);
    assert.equal(twoGroups(30, 10), [
      { priority: 0, graceSeconds: 20 },
      { priority: CRITICAL, graceSeconds: 10 },
    ]);
  });

  test('a group begins when the one before has ended or its time is over; a short grace stays', async () => {
    const told: string[] = [];
    const ended = new Set<string>();
    let nowMs = 0;
    const clock = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after(delayMs: number, task: () => void) {
        const isCancelled = { value: false };
        setImmediate(() => {
          if (isCancelled.value) return;
          nowMs += Math.min(delayMs, 1000);
          task();
        });
        return () => {
          isCancelled.value = true;
        };
      },
    };
    const node = {
      active: () => [pod('critical', CRITICAL), pod('quick', 0, 3), pod('stuck', 0, 300)],
      end(uid: string, graceSeconds: number) {
        told.push(`${uid} ${graceSeconds}`);
        if (uid !== 'stuck') ended.add(uid);
      },
      hasEnded: (uid: string) => ended.has(uid),
      async refuse() {
        told.push('refuse');
      },
    };
    await shutDownNode({ groups: twoGroups(30, 10), node, clock, log: silent });
    assert.equal(told, ['refuse', 'quick 3', 'stuck 20', 'critical 10']);
  });

  test('events tell what changed, all of it at the start, and readiness only when it changed', () => {
    const reasons = (events: readonly { readonly reason: string }[]) =>
      events.map(({ reason }) => reason);
    const [yes, no] = [nodeOf('True'), nodeOf('False')];
    assert.equal(reasons(nodeEvents(undefined, no, yes)), ['NodeHasSufficientMemory', 'NodeReady']);
    assert.equal(reasons(nodeEvents(undefined, yes, yes)), ['NodeHasSufficientMemory']);
    assert.equal(nodeEvents(yes, yes, yes), []);
    assert.equal(reasons(nodeEvents(yes, yes, nodeOf('True', 'True'))), [
      'NodeHasInsufficientMemory',
    ]);
    const [event] = nodeEvents(yes, yes, no);
    assert.is(event?.message, 'Node one status is now: NodeNotReady');
    assert.equal(reasons(nodeEvents(yes, nodeOf('True', 'False', 'old'), yes)), ['Rebooted']);
    const cordoned = nodeOf('True', 'False', 'b', true);
    assert.is(schedulingEvent(yes, cordoned)?.reason, 'NodeNotSchedulable');
    assert.is(schedulingEvent(cordoned, yes)?.reason, 'NodeSchedulable');
    assert.is(schedulingEvent(undefined, cordoned), undefined);
    assert.is(schedulingEvent(yes, yes), undefined);
  });
});
