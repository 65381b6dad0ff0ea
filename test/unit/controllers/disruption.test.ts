import * as assert from 'uvu/assert';
import type { Pod, PodDisruptionBudget } from '../../../pkg/api/generated/types.ts';
import { budgetStatus } from '../../../pkg/controllers/disruption.ts';
import { suite } from '../../harness/suite.ts';

const AT = '2026-01-01T00:00:00Z';
const NOW = Date.parse(AT) + 60_000;

function pods(ready: number, total: number): Pod[] {
  return Array.from({ length: total }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `p${i}`, uid: `p${i}`, resourceVersion: '1', creationTimestamp: AT },
    spec: { containers: [] },
    status: { conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
  }));
}

function budget(
  spec: PodDisruptionBudget['spec'],
  disruptedPods?: Readonly<Record<string, string>>,
): PodDisruptionBudget {
  const metadata = {
    name: 'b',
    uid: 'b',
    resourceVersion: '1',
    creationTimestamp: AT,
    generation: 4,
  };
  const status = disruptedPods ? { disruptedPods } : {};
  return { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata, spec, status };
}

suite('disruption', ({ test }) => {
  const cases: readonly [
    string,
    PodDisruptionBudget['spec'],
    number,
    number,
    number | undefined,
    number,
  ][] = [
    ['minAvailable 2 of 3', { minAvailable: 2 }, 3, 3, 3, 1],
    ['minAvailable 2 with one not ready', { minAvailable: 2 }, 2, 3, 3, 0],
    ['minAvailable 50% rounds up', { minAvailable: '50%' }, 3, 3, 3, 1],
    ['maxUnavailable 1', { maxUnavailable: 1 }, 3, 3, 3, 1],
    ['maxUnavailable 30% rounds up', { maxUnavailable: '30%' }, 5, 5, 5, 2],
    ['no pods', { maxUnavailable: 1 }, 0, 0, 0, 0],
    ['unknown size', { maxUnavailable: 1 }, 3, 3, undefined, 0],
  ];
  for (const [title, spec, ready, total, expected, allowed] of cases) {
    test(`${title} allows ${allowed}`, () => {
      const status = budgetStatus(budget(spec), { pods: pods(ready, total), expected, now: NOW });
      assert.is(status.disruptionsAllowed, allowed);
      assert.is(status.observedGeneration, 4);
    });
  }

  test('an eviction under way counts against the budget, but not for ever', () => {
    const granted = {
      p0: new Date(NOW - 1000).toISOString(),
      p1: new Date(NOW - 600_000).toISOString(),
      gone: AT,
    };
    const observed = { pods: pods(3, 3), expected: 3, now: NOW };
    const status = budgetStatus(budget({ minAvailable: 1 }, granted), observed);
    assert.equal(Object.keys(status.disruptedPods ?? {}), ['p0']);
    assert.is(status.disruptionsAllowed, 1);
  });
});
