/** A host that is switched off and on again. */

import * as assert from 'uvu/assert';
import type { Pod } from '../../pkg/api/generated/types.ts';
import { leftovers } from '../harness/churn.ts';
import { BUSYBOX, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 240_000;

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
      await cluster.until('nothing to be left', async () => {
        const left = await leftovers(cluster);
        if (left.length > 0) throw new Error(left.join('\n'));
        return true;
      });
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
