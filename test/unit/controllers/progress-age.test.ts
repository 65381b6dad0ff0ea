/** A progress deadline under a clock that is moved. */

import * as assert from 'uvu/assert';
import type { Deployment } from '../../../pkg/api/generated/types.ts';
import { deadlineInMs } from '../../../pkg/controllers/deployment-status.ts';
import { timestamp } from '../../../pkg/controllers/pods.ts';
import { ProgressAges } from '../../../pkg/controllers/progress-age.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { suite } from '../../harness/suite.ts';

const HOUR_MS = 3_600_000;

suite('progress age', ({ test }) => {
  const start = () => {
    const clock = movableClock();
    const ages = new ProgressAges();
    const deployment: Deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name: 'd',
        uid: 'u',
        resourceVersion: '1',
        creationTimestamp: timestamp(clock.now()),
      },
      spec: {
        progressDeadlineSeconds: 600,
        selector: {},
        template: { metadata: {}, spec: { containers: [] } },
      },
    };
    const noting = (reason = 'ReplicaSetUpdated') => ({
      type: 'Progressing',
      status: 'True',
      reason,
      lastUpdateTime: timestamp(clock.now()),
    });
    const left = (condition: ReturnType<typeof noting>) =>
      deadlineInMs(deployment, ages.now(deployment, condition, clock), condition);
    return { clock, noting, left };
  };

  for (const hours of [5, -5]) {
    test(`the deadline stays where it is when the clock is moved by ${hours} hours`, async () => {
      const { clock, noting, left } = start();
      const condition = noting();
      assert.is(left(condition), 600_000);
      clock.move(hours * HOUR_MS);
      await clock.pass(599_000);
      assert.is(left(condition), 1_000);
      await clock.pass(1_000);
      assert.is(left(condition), 0);
    });
  }

  test('each progress begins it anew; a time yet to come counts as now', async () => {
    const { clock, noting, left } = start();
    assert.is(left(noting()), 600_000);
    await clock.pass(300_000);
    const later = noting();
    assert.is(left(later), 600_000);
    clock.move(-HOUR_MS);
    const again = noting();
    await clock.pass(60_000);
    assert.is(left(again), 540_000);
    clock.move(-HOUR_MS);
    assert.is(left({ ...again, lastUpdateTime: timestamp(clock.now() + HOUR_MS / 2) }), 600_000);
  });
});
