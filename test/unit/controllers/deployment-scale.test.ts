import * as assert from 'uvu/assert';
import type { Deployment, ReplicaSet } from '../../../pkg/api/generated/types.ts';
import {
  limitsOf,
  newReplicas,
  oldTargets,
  scaled,
  scaleTargets,
} from '../../../pkg/controllers/deployment-scale.ts';
import { suite } from '../../harness/suite.ts';

let serial = 0;

function set(
  replicas: number,
  available = replicas,
  annotations: Record<string, string> = {},
): ReplicaSet {
  serial += 1;
  const metadata = {
    name: `rs${String(serial).padStart(4, '0')}`,
    uid: String(serial),
    resourceVersion: '1',
    creationTimestamp: new Date(serial * 1000).toISOString(),
    annotations,
  };
  const selector = { matchLabels: {} };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata,
    spec: { replicas, selector },
    status: { replicas, availableReplicas: available },
  };
}

function deployment(
  replicas: number,
  maxSurge: string | number,
  maxUnavailable: string | number,
): Deployment {
  const metadata = {
    name: 'web',
    uid: 'd',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas,
      selector: { matchLabels: {} },
      template: {},
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
    },
  };
}

const counts = (targets: readonly { readonly replicas: number }[]) =>
  targets.map(({ replicas }) => replicas);

suite('deployment-scale', ({ test }) => {
  const percentages: readonly [string | number | undefined, number, 'up' | 'down', number][] = [
    ['25%', 10, 'up', 3],
    ['25%', 10, 'down', 2],
    ['100%', 3, 'up', 3],
    ['0%', 3, 'up', 0],
    [2, 10, 'down', 2],
    [undefined, 10, 'up', 0],
  ];
  for (const [value, total, round, expected] of percentages) {
    test(`${value} of ${total} rounded ${round} is ${expected}`, () => {
      assert.is(scaled(value, total, round), expected);
    });
  }

  test('refuses what is neither a count nor a percentage', () => {
    assert.throws(() => scaled('many', 1, 'up'), /Invalid count/);
  });

  test('allows one unavailable pod when nothing else would let a rollout move', () => {
    assert.equal(limitsOf(deployment(1, 0, 0)), { maxSurge: 0, maxUnavailable: 1 });
    assert.equal(limitsOf(deployment(1, '25%', '25%')), { maxSurge: 1, maxUnavailable: 0 });
  });

  const growth: readonly [string, Deployment, number, readonly number[], number][] = [
    ['starts with the surge', deployment(10, 3, 2), 0, [10], 3],
    ['uses what old ones gave up', deployment(10, 3, 2), 3, [8], 5],
    ['never exceeds the size', deployment(10, 5, 5), 8, [1], 10],
    ['waits while there is no room', deployment(10, 0, 1), 0, [10], 0],
    ['shrinks to the size', deployment(2, 1, 1), 5, [], 2],
  ];
  for (const [title, subject, current, old, expected] of growth) {
    test(`the new ReplicaSet ${title}`, () => {
      const sets = old.map((replicas) => set(replicas));
      assert.is(newReplicas(subject, current, sets), expected);
    });
  }

  test('the new ReplicaSet waits for pods that an old one has not given up yet', () => {
    const shrinking = { ...set(3), status: { replicas: 4, availableReplicas: 4 } };
    assert.is(newReplicas(deployment(4, 1, 1), 1, [shrinking]), 1);
    assert.is(newReplicas(deployment(4, 1, 1), 1, [set(3)]), 2);
  });

  test('old ReplicaSets give up only what availability allows', () => {
    assert.equal(counts(oldTargets(deployment(10, 3, 2), set(3, 0), [set(10)])), [8]);
    assert.equal(counts(oldTargets(deployment(10, 3, 2), set(3, 3), [set(10)])), [5]);
    assert.equal(counts(oldTargets(deployment(10, 3, 0), set(3, 0), [set(10)])), [10]);
  });

  test('old pods that do not serve go first', () => {
    const targets = oldTargets(deployment(10, 0, 2), set(0, 0), [set(5, 5), set(5, 3)]);
    assert.equal(counts(targets), [5, 3]);
  });

  test('a size change goes to the only active ReplicaSet', () => {
    const old = set(0);
    const current = set(3);
    const targets = scaleTargets(deployment(7, 1, 1), current, [old]);
    assert.equal(
      targets.map(({ rs, replicas }) => [rs, replicas]),
      [[current, 7]],
    );
  });

  test('a size change in the middle of a rollout is shared out by proportion', () => {
    const marks = { 'deployment.kubernetes.io/max-replicas': '12' };
    const old = set(8, 8, marks);
    const current = set(4, 0, marks);
    const targets = scaleTargets(deployment(20, 4, 2), current, [old]);
    assert.equal(counts(targets), [16, 8]);
  });

  test('a size change to zero takes all pods', () => {
    const targets = scaleTargets(deployment(0, 1, 1), set(2), [set(3)]);
    assert.equal(counts(targets), [0, 0]);
  });
});
