/** What is killed at random moments (in short; `npm run soak` is the long form), and a host that is switched off and on. */

import * as assert from 'uvu/assert';
import type { Pod } from '../../pkg/api/generated/types.ts';
import { churn, leftovers } from '../harness/churn.ts';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 240_000;
const SEED = Number(process.env['SOAK_SEED'] ?? 20_261_132);
const BATCH = { pods: 18, atOnce: 18, killsABatch: 8, killEveryMs: 300, batchTimeoutMs: 100_000 };

function stayer(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'stays' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: 'kept', emptyDir: {} }],
      containers: [
        {
          name: 'c',
          image: BUSYBOX,
          command: ['sh', '-c', 'echo start >> /kept/starts; exec sleep 100000'],
          volumeMounts: [{ name: 'kept', mountPath: '/kept' }],
        },
      ],
    },
  };
}

suite('e2e/reboot', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  const nothingLeft = (cluster: Cluster) =>
    cluster.until('nothing to be left', async () => {
      const left = await leftovers(cluster);
      if (left.length > 0) throw new Error(left.join('\n'));
      return true;
    });

  test(
    'agent, runtime daemon and shims killed while pods start and end: nothing is lost, stuck, left or run twice',
    async () => {
      const cluster = await shared.get();
      const { kills, ended, lost } = await churn({ cluster, seed: SEED, ...BATCH });
      const killed = JSON.stringify(kills);
      process.stdout.write(`seed ${SEED}: ${ended} ends seen, ${lost} lost, killed ${killed}\n`);
      assert.is(ended, 12);
      await nothingLeft(cluster);
    },
    TIMEOUT_MS,
  );

  test(
    'a pod with shared processes whose first one is killed gets others',
    async () => {
      const cluster = await shared.get();
      const pod = stayer('shares');
      await cluster.apply({ ...pod, spec: { ...pod.spec, shareProcessNamespace: true } });
      await cluster.kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'pod/shares');
      const reapers = cluster.one.pidsOf(/mini-runtime reaper/);
      assert.is(reapers.length, 1);
      process.kill(reapers[0] ?? 0, 'SIGKILL');
      await cluster.until('it to run again', async () => {
        const { status }: Pod = JSON.parse(
          await cluster.kubectl('get', 'pod', 'shares', '-o', 'json'),
        );
        const [container] = status?.containerStatuses ?? [];
        return container?.ready && container.restartCount === 1;
      });
      assert.match(await cluster.kubectl('exec', 'shares', '--', 'ps'), /sleep 100000/);
      await cluster.kubectl('delete', 'pod', 'shares', '--timeout=60s');
    },
    TIMEOUT_MS,
  );

  test(
    'a host that is switched off and on has its pods again, their volumes too, and nothing of before',
    async () => {
      const cluster = await shared.get();
      const names = Array.from({ length: 6 }, (_, i) => `stays-${i}`);
      await cluster.apply(...names.map(stayer));
      const all = ['-l', 'app=stays'];
      await cluster.kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'pod', ...all);
      const idsOf = async () => {
        const { items } = JSON.parse(await cluster.kubectl('get', 'pods', ...all, '-o', 'json'));
        return (items as readonly Pod[]).map(({ status }) => status?.containerStatuses?.[0]);
      };
      const before = await idsOf();
      await cluster.one.kill();
      await cluster.one.boot();
      cluster.startServer();
      const old = new Set(before.map((status) => status?.containerID));
      await cluster.until(
        'all pods to run again',
        async () => {
          const now = await idsOf();
          return (
            now.length === names.length &&
            now.every((one) => one?.ready && one.restartCount === 1 && !old.has(one.containerID))
          );
        },
        90_000,
      );
      for (const name of names)
        assert.is(
          await cluster.kubectl('exec', name, '--', 'cat', '/kept/starts'),
          'start\nstart\n',
        );
      await cluster.kubectl('delete', 'pods', ...all, '--timeout=60s');
      await nothingLeft(cluster);
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
