/** The status of a pod, case by case. */

import * as assert from 'uvu/assert';
import type { Waiting } from '../../../../pkg/agent/pod/decide.ts';
import type { ContainerRecord } from '../../../../pkg/agent/pod/records.ts';
import { type StatusFacts, statusOf } from '../../../../pkg/agent/pod/status.ts';
import type { Pod, PodStatus } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

const NOW = Date.parse('2026-01-01T00:01:00Z');

function podOf(status?: PodStatus): Pod {
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
    generation: 3,
  };
  const spec = {
    containers: [
      { name: 'a', image: 'i' },
      { name: 'b', image: 'i' },
    ],
    restartPolicy: 'Always',
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec, ...(status ? { status } : {}) };
}

function run(name: string, attempt: number, exitCode?: number): ContainerRecord {
  const base = {
    id: `${name}${attempt}`,
    name,
    attempt,
    epoch: 0,
    hash: '',
    image: 'i',
    imageId: 'sha256:1',
    user: { uid: 1000, gid: 1000, additionalGids: [4321] },
  };
  const startedAt = '2026-01-01T00:00:00.123456789Z';
  if (exitCode === undefined) return { ...base, status: 'running', startedAt };
  const ended = {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    startedAt,
    finishedAt: startedAt,
  };
  return { ...base, status: 'exited', startedAt, ended };
}

function status(records: readonly ContainerRecord[], more: Partial<StatusFacts> = {}): PodStatus {
  const containers = Map.groupBy(records, ({ name }) => name);
  const sandbox = { id: 's', labels: {}, createdAt: '', ip: '10.42.0.9', isReady: true };
  return statusOf({
    pod: podOf(),
    view: { sandbox, containers },
    waiting: new Map<string, Waiting>(),
    hostIps: ['192.0.2.1'],
    hasVolumes: true,
    nowMs: NOW,
    isReady: () => true,
    isStarted: () => true,
    isTerminating: false,
    isFinished: false,
    ...more,
  });
}

const ready = ({ conditions }: PodStatus) => conditions?.find(({ type }) => type === 'Ready');

suite('agent: status', ({ test }) => {
  test('without its volumes a pod is not ready to start containers, and has no address yet', () => {
    const verdict = ({ conditions }: PodStatus) =>
      conditions?.find(({ type }) => type === 'PodReadyToStartContainers')?.status;
    const waits = status([], { hasVolumes: false });
    assert.equal([verdict(waits), waits.podIP, waits.hostIP], ['False', undefined, '192.0.2.1']);
    const goesOn = status([]);
    assert.equal([verdict(goesOn), goesOn.podIP], ['True', '10.42.0.9']);
  });

  test('all running is Running and Ready; times have whole seconds', () => {
    const made = status([run('a', 0), run('b', 0)]);
    assert.is(made.phase, 'Running');
    assert.is(ready(made)?.status, 'True');
    assert.is(ready(made)?.observedGeneration, 3);
    assert.is(made.observedGeneration, 3);
    assert.is(made.containerStatuses?.[0]?.state?.running?.startedAt, '2026-01-01T00:00:00Z');
  });

  test('one that has not come to start keeps the pod Pending', () => {
    const made = status([run('a', 0)]);
    assert.is(made.phase, 'Pending');
    assert.is(made.containerStatuses?.[1]?.state?.waiting?.reason, 'ContainerCreating');
    assert.is(ready(made)?.message, 'containers with unready status: [b]');
  });

  test('one that crashes keeps the pod Running but not Ready', () => {
    const waiting = new Map([['b', { reason: 'CrashLoopBackOff' }]]);
    const made = status([run('a', 0), run('b', 2, 7), run('b', 1, 6)], { waiting });
    assert.is(made.phase, 'Running');
    assert.is(ready(made)?.reason, 'ContainersNotReady');
    const [, b] = made.containerStatuses ?? [];
    assert.is(b?.state?.waiting?.reason, 'CrashLoopBackOff');
    assert.is(b?.lastState?.terminated?.exitCode, 7);
    assert.is(b?.restartCount, 2);
  });

  test('until the next run has started, how the one before ended is what is seen', () => {
    const { containerStatuses } = status([run('a', 0), run('b', 0, 5)]);
    const [a, b] = containerStatuses ?? [];
    assert.ok(a && b);
    const before = { state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } } };
    const { ended: _ended, startedAt: _startedAt, ...made } = run('b', 1);
    const seen = (old: object) =>
      status([run('a', 0), { ...made, status: 'created' }, run('b', 0, 5)], {
        pod: podOf({ containerStatuses: [a, { ...b, ...old }] }),
      }).containerStatuses?.[1];
    const waiting = seen(before);
    assert.equal(waiting?.state, before.state);
    assert.equal([waiting?.restartCount, waiting?.lastState?.terminated?.exitCode], [0, 5]);
    assert.is(seen({})?.state?.terminated?.exitCode, 5);
  });

  test('the user of the first process is told, and when the pod was scheduled', () => {
    const { containerStatuses, conditions } = status([run('a', 0), run('b', 0)]);
    const linux = { uid: 1000, gid: 1000, supplementalGroups: [1000, 4321] };
    assert.equal(containerStatuses?.[0]?.user, { linux });
    const scheduled = conditions?.find(({ type }) => type === 'PodScheduled');
    assert.equal([scheduled?.status, scheduled?.observedGeneration], ['True', 3]);
  });

  test('while the newest run goes on, the one before is its last state', () => {
    const made = status([run('a', 0), run('b', 1), run('b', 0, 5)]);
    assert.is(made.containerStatuses?.[1]?.lastState?.terminated?.exitCode, 5);
  });

  test('a failed readiness probe and an unpassed startup probe are not ready', () => {
    assert.is(
      ready(status([run('a', 0), run('b', 0)], { isReady: (id) => id !== 'b0' }))?.status,
      'False',
    );
    const starting = status([run('a', 0), run('b', 0)], { isStarted: () => false });
    assert.is(starting.containerStatuses?.[0]?.started, false);
    assert.is(ready(starting)?.status, 'False');
  });

  for (const [codes, phase] of [
    [[0, 0], 'Succeeded'],
    [[0, 1], 'Failed'],
  ] as const) {
    test(`finished with exit codes ${codes.join(' and ')} is ${phase}`, () => {
      const made = status([run('a', 0, codes[0]), run('b', 0, codes[1])], { isFinished: true });
      assert.is(made.phase, phase);
      assert.is(ready(made)?.status, 'False');
    });
  }

  test('a pod that has ended has containers that have: as they did, or unknown', () => {
    const waiting = new Map(
      ['a', 'b'].map((name) => [name, { reason: 'CrashLoopBackOff', message: 'm' }]),
    );
    const made = status([run('a', 1, 3)], { waiting, isFinished: true });
    assert.is(made.phase, 'Failed');
    const [a, b] = made.containerStatuses ?? [];
    assert.equal([a?.state?.terminated?.exitCode, a?.restartCount], [3, 1]);
    const { exitCode, reason } = b?.state?.terminated ?? {};
    assert.equal([exitCode, reason], [137, 'ContainerStatusUnknown']);
  });

  test('a pod that ended in its init containers never came to the others', () => {
    const inits = [{ name: 's', restartPolicy: 'Always' }, { name: 'i' }, { name: 'j' }];
    const pod = { ...podOf(), spec: { containers: [{ name: 'a' }], initContainers: inits } };
    const made = status([run('s', 0), run('i', 0, 1)], { pod, isFinished: true });
    const states = [...(made.initContainerStatuses ?? []), ...(made.containerStatuses ?? [])];
    assert.equal(
      states.map(({ state }) => state?.terminated?.exitCode ?? state?.waiting?.reason),
      [137, 1, 'PodInitializing', 'PodInitializing'],
    );
    const later = status([run('s', 0, 0), run('i', 0, 0), run('j', 0, 0)], {
      pod,
      isFinished: true,
    });
    assert.is(later.containerStatuses?.[0]?.state?.terminated?.exitCode, 137);
  });

  test('a container that never started ends with its pod, unless the pod was never taken', () => {
    const view = { sandbox: undefined, containers: new Map() };
    const failure = { reason: 'Evicted', message: 'm' };
    const waiting = status([], { view });
    assert.is(waiting.containerStatuses?.[0]?.state?.waiting?.reason, 'ContainerCreating');
    const ended = status([], { pod: podOf(waiting), view, isFinished: true, failure });
    assert.is(ended.phase, 'Failed');
    for (const { state, ready: isReady } of ended.containerStatuses ?? []) {
      const { exitCode, reason } = state?.terminated ?? {};
      assert.equal([exitCode, reason, isReady], [137, 'ContainerStatusUnknown', false]);
    }
    const refused = status([], { view, isFinished: true, failure });
    assert.is(refused.containerStatuses?.[0]?.state?.terminated, undefined);
  });

  test('a final phase, the start time and addresses never change again', () => {
    const before = status([run('a', 0, 0), run('b', 0, 0)], { isFinished: true });
    const after = status([], {
      pod: podOf(before),
      view: { sandbox: undefined, containers: new Map() },
      isFinished: true,
      nowMs: NOW + 100_000,
    });
    assert.is(after.phase, 'Succeeded');
    assert.is(after.podIP, '10.42.0.9');
    assert.is(after.startTime, before.startTime);
    assert.equal(after.containerStatuses, before.containerStatuses);
  });

  test('lastTransitionTime moves only when the status does', () => {
    const before = status([run('a', 0), run('b', 0)]);
    const later = { pod: podOf(before), nowMs: NOW + 60_000 };
    assert.is(
      ready(status([run('a', 0), run('b', 0)], later))?.lastTransitionTime,
      ready(before)?.lastTransitionTime,
    );
    assert.is(
      ready(status([run('a', 0), run('b', 0, 1)], later))?.lastTransitionTime,
      '2026-01-01T00:02:00Z',
    );
  });

  test('termination messages of one pod are cut to 12 KiB together, at whole characters', () => {
    const long = 'ü'.repeat(2048);
    const [a, b] = [run('a', 0, 1), run('b', 0, 1)];
    const said = (record: ContainerRecord): ContainerRecord => ({
      ...record,
      ended: { exitCode: 1, reason: 'Error', message: long },
    });
    const names = ['a', 'b', 'c', 'd', 'e'];
    const pod = podOf();
    const containers = names.map((name) => ({ name, image: 'i' }));
    const many = { ...pod, spec: { ...pod.spec, containers } };
    const records = names.map((name) => said({ ...a, name }));
    const made = status(records, { pod: many });
    const lengths = (made.containerStatuses ?? []).map(({ state }) =>
      Buffer.byteLength(state?.terminated?.message ?? ''),
    );
    assert.equal(lengths, [2456, 2456, 2456, 2456, 2456]);
    const few = status([said(a), said(b)]);
    assert.is(few.containerStatuses?.[0]?.state?.terminated?.message, long);
  });

  test('conditions of others are kept', () => {
    const other = { type: 'example.org/gate', status: 'True' };
    const made = status([run('a', 0), run('b', 0)], { pod: podOf({ conditions: [other] }) });
    assert.ok(made.conditions?.includes(other));
  });
});
