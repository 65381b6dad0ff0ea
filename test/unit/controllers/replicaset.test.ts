import * as assert from 'uvu/assert';
import type { Pod, PodCondition, ReplicaSet } from '../../../pkg/api/generated/types.ts';
import { byDeletion } from '../../../pkg/controllers/pod-ranking.ts';
import { difference, podOf, statusOf } from '../../../pkg/controllers/replicaset.ts';
import { slowStart } from '../../../pkg/controllers/slow-start.ts';
import { suite } from '../../harness/suite.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');

interface Shape {
  readonly node?: string;
  readonly phase?: string;
  readonly readyFor?: number;
  readonly cost?: number;
  readonly restarts?: number;
  readonly age?: number;
  readonly isTerminating?: boolean;
}

function pod(name: string, shape: Shape = {}): Pod {
  const { node, phase = 'Running', readyFor, cost, restarts = 0, age = 60 } = shape;
  const ready: PodCondition[] =
    readyFor === undefined
      ? []
      : [
          {
            type: 'Ready',
            status: 'True',
            lastTransitionTime: new Date(NOW - readyFor * 1000).toISOString(),
          },
        ];
  const container = { name: 'a', image: 'b', imageID: '', ready: true, restartCount: restarts };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: new Date(NOW - age * 1000).toISOString(),
      labels: { app: 'web' },
      ...(cost === undefined
        ? {}
        : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': `${cost}` } }),
      ...(shape.isTerminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [], ...(node ? { nodeName: node } : {}) },
    status: { phase, conditions: ready, containerStatuses: [container] },
  };
}

function replicaSet(replicas: number, minReadySeconds = 0): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: 'web-1',
      namespace: 'default',
      uid: 'rs',
      generation: 3,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      replicas,
      minReadySeconds,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web', tier: 'x' } }, spec: { containers: [] } },
    },
  };
}

const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).join(' ');

suite('replicaset', ({ test }) => {
  const ranks: readonly [string, Pod, Pod][] = [
    ['unassigned before assigned', pod('first'), pod('second', { node: 'n' })],
    [
      'pending before running',
      pod('first', { node: 'n', phase: 'Pending' }),
      pod('second', { node: 'n' }),
    ],
    [
      'not ready before ready',
      pod('first', { node: 'n' }),
      pod('second', { node: 'n', readyFor: 9 }),
    ],
    [
      'lower deletion cost first',
      pod('first', { node: 'n', readyFor: 99, cost: -1 }),
      pod('second', { node: 'n', readyFor: 9 }),
    ],
    [
      'ready for a shorter time first',
      pod('first', { node: 'n', readyFor: 1 }),
      pod('second', { node: 'n', readyFor: 9 }),
    ],
    [
      'more restarts first',
      pod('first', { node: 'n', readyFor: 9, restarts: 2 }),
      pod('second', { node: 'n', readyFor: 9 }),
    ],
    [
      'newer first',
      pod('first', { node: 'n', readyFor: 9, age: 10 }),
      pod('second', { node: 'n', readyFor: 9, age: 99 }),
    ],
  ];
  for (const [title, first, second] of ranks) {
    test(`deletes ${title}`, () => {
      assert.is(names(byDeletion([second, first])), 'first second');
    });
  }

  test('deletes from the fullest node first', () => {
    const pods = [
      pod('alone', { node: 'a', readyFor: 9, age: 1 }),
      pod('crowd1', { node: 'b', readyFor: 9, age: 99 }),
      pod('crowd2', { node: 'b', readyFor: 9, age: 98 }),
    ];
    assert.is(names(byDeletion(pods)), 'crowd2 crowd1 alone');
  });

  test('finds what is missing and what is too much', () => {
    assert.equal(difference(replicaSet(3), [pod('a')]), { missing: 2, surplus: [] });
    const { missing, surplus } = difference(replicaSet(1), [pod('a', { node: 'n' }), pod('b')]);
    assert.is(missing, 0);
    assert.is(names(surplus), 'b');
    assert.is(difference(replicaSet(5000), []).missing, 500);
  });

  test('makes pods that it controls', () => {
    const draft = podOf(replicaSet(1));
    assert.is(draft.metadata.generateName, 'web-1-');
    assert.is(draft.metadata.namespace, 'default');
    assert.equal(draft.metadata.labels, { app: 'web', tier: 'x' });
    const [owner] = draft.metadata.ownerReferences ?? [];
    assert.equal([owner?.kind, owner?.uid, owner?.controller], ['ReplicaSet', 'rs', true]);
  });

  test('counts pods by how far they are', () => {
    const pods = [
      pod('a', { readyFor: 20 }),
      pod('b', { readyFor: 5 }),
      pod('c'),
      pod('d', { phase: 'Failed' }),
      pod('e', { isTerminating: true }),
    ];
    assert.equal(statusOf(replicaSet(3, 10), { pods, failure: undefined, now: NOW }), {
      replicas: 3,
      readyReplicas: 2,
      availableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 3,
    });
  });

  test('tells of a failure in a condition, and no more once it is over', () => {
    const error = new Error('exceeded quota');
    const failure = { reason: 'FailedCreate', error } as const;
    const rs = replicaSet(3);
    const status = statusOf(rs, { pods: [], failure, now: NOW });
    const [condition] = status.conditions ?? [];
    assert.is(condition?.message, 'exceeded quota');
    const after = statusOf({ ...rs, status }, { pods: [], failure: undefined, now: NOW });
    assert.is(after.conditions, undefined);
  });

  test('creates in growing batches and stops after the first with a failure', async () => {
    const sizes: number[] = [];
    let started = 0;
    const result = await slowStart(100, async (index) => {
      started += 1;
      await Promise.resolve();
      sizes[index] = started;
      if (index === 5) throw new Error('no more');
    });
    assert.is(started, 7);
    assert.is(result.created, 6);
    assert.ok(result.error instanceof Error);
    assert.equal(await slowStart(10, () => Promise.resolve()), { created: 10 });
  });
});
