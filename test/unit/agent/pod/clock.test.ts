/** What the agent times of a pod, while the wall clock is moved by hours. */

import * as assert from 'uvu/assert';
import { Alarms } from '../../../../pkg/agent/pod/alarms.ts';
import { Deadline } from '../../../../pkg/agent/pod/deadline.ts';
import { Holds } from '../../../../pkg/agent/pod/holds.ts';
import type { ContainerRecord } from '../../../../pkg/agent/pod/records.ts';
import { ProbeWorker } from '../../../../pkg/agent/probes/probe-worker.ts';
import { Tokens } from '../../../../pkg/agent/volumes/tokens.ts';
import type { Pod } from '../../../../pkg/api/generated/types.ts';
import type { Client } from '../../../../pkg/client/client.ts';
import { type MovableClock, movableClock } from '../../../harness/movable-clock.ts';
import { suite } from '../../../harness/suite.ts';

const HOUR_MS = 3_600_000;
const JUMPS = [3 * HOUR_MS, -3 * HOUR_MS];
const container = { name: 'a', image: 'i' };

function podAt(startMs: number): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [container], activeDeadlineSeconds: 60 },
    status: { startTime: new Date(startMs).toISOString() },
  };
}

function endedNow(clock: MovableClock, attempt: number): ContainerRecord {
  const finishedAt = new Date(clock.now()).toISOString();
  const ended = { exitCode: 1, reason: 'Error', finishedAt };
  const user = { uid: 0, gid: 0, additionalGids: [] };
  const facts = { name: 'a', attempt, epoch: 0, hash: '', image: 'i', imageId: 'x', user };
  return { ...facts, id: `a${attempt}`, status: 'exited', ended };
}

suite('agent/pod under a clock that is moved', ({ test }) => {
  test('a crash back-off lasts 10 s', async () => {
    for (const jump of JUMPS) {
      const clock = movableClock();
      const holds = new Holds(clock);
      holds.started('a', 1);
      const last = endedNow(clock, 1);
      const held = () => holds.get(podAt(0), container, last)?.waiting.reason;
      assert.is(held(), 'CrashLoopBackOff');
      clock.move(jump);
      await clock.pass(9_999);
      assert.is(held(), 'CrashLoopBackOff', `${jump}`);
      await clock.pass(1);
      assert.is(held(), undefined, `${jump}`);
    }
  });

  test('a run that ended before the clock was set back holds for no longer than its delay', async () => {
    const clock = movableClock();
    const holds = new Holds(clock);
    holds.started('a', 1);
    const last = endedNow(clock, 1);
    clock.move(-3 * HOUR_MS);
    const until = holds.get(podAt(0), container, last)?.untilMs ?? 0;
    assert.is(until - clock.monotonic(), 10_000);
  });

  test('activeDeadlineSeconds count the time that passed', async () => {
    for (const jump of JUMPS) {
      const clock = movableClock();
      const deadline = new Deadline(clock);
      const pod = podAt(clock.now() - 20_000);
      assert.is(deadline.activeMs(pod), 20_000);
      clock.move(jump);
      await clock.pass(30_000);
      assert.is(deadline.activeMs(pod), 50_000, `${jump}`);
      assert.is(deadline.atMs(pod) - clock.monotonic(), 10_000, `${jump}`);
    }
  });

  test('an alarm rings after its delay', async () => {
    for (const jump of JUMPS) {
      const clock = movableClock();
      const alarms = new Alarms(clock);
      let rings = 0;
      alarms.setIn('wake', 5_000, () => {
        rings += 1;
      });
      clock.move(jump);
      await clock.pass(4_999);
      assert.is(rings, 0, `${jump}`);
      await clock.pass(1);
      assert.is(rings, 1, `${jump}`);
    }
  });

  test('a probe of a container that started before the clock was set back begins after its delay', async () => {
    const clock = movableClock();
    let checks = 0;
    const worker = new ProbeWorker({
      probe: { initialDelaySeconds: 5 },
      clock,
      startedAtMs: clock.monotonic(),
      initial: undefined,
      check: async () => {
        checks += 1;
        return { isOk: true, message: '' };
      },
      onFailure: () => undefined,
      onError: () => undefined,
      onWarning: () => undefined,
      onVerdict: () => undefined,
    });
    clock.move(-3 * HOUR_MS);
    await clock.pass(5_000);
    assert.is(checks, 1);
    assert.is(worker.verdict, true);
    worker.close();
  });

  test('a probe that tells the end of its container says it once', async () => {
    const clock = movableClock();
    let checks = 0;
    const failures: string[] = [];
    const verdicts: (boolean | undefined)[] = [];
    const worker = new ProbeWorker({
      probe: { periodSeconds: 1, failureThreshold: 2 },
      clock,
      startedAtMs: clock.monotonic(),
      initial: true,
      isFinal: true,
      check: async () => {
        checks += 1;
        return { isOk: checks === 1, message: `check ${checks}` };
      },
      onFailure: (message) => failures.push(message),
      onError: () => undefined,
      onWarning: () => undefined,
      onVerdict: () => verdicts.push(worker.verdict),
    });
    await clock.pass(9_000);
    worker.close();
    assert.equal(failures, ['check 2', 'check 3']);
    assert.equal(verdicts, [false]);
  });

  test('tokens are asked for anew after a jump, and only then', async () => {
    const clock = movableClock();
    let asked = 0;
    const createSub = async () => {
      asked += 1;
      const expirationTimestamp = new Date(clock.now() + HOUR_MS).toISOString();
      return { status: { token: `t${asked}`, expirationTimestamp } };
    };
    const tokens = new Tokens({ client: { createSub } as unknown as Client, clock });
    const get = () => {
      const options = { audience: '', expirationSeconds: 3600 };
      return tokens.get(podAt(clock.now()), options, AbortSignal.timeout(5_000));
    };
    assert.is(await get(), 't1');
    await clock.pass(0.79 * HOUR_MS);
    assert.is(await get(), 't1');
    clock.move(-HOUR_MS);
    assert.ok((tokens.refreshAtMs('u') ?? 0) <= clock.monotonic());
    assert.is(await get(), 't2');
    clock.move(3 * HOUR_MS);
    assert.is(await get(), 't3');
    await clock.pass(0.8 * HOUR_MS);
    assert.is(await get(), 't4');
  });
});
