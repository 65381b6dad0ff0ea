/** A node that is cut off for longer than its lease: taken for dead, and Ready again as soon as it is back. */

import { Cluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

/** The lease's 40 s, and what start, pings and reconnection take. */
const TIMEOUT_MS = 120_000;
/** Pings notice the end of a cut, then the tunnel is dialled again. */
const BACK_MS = 15_000;

suite('e2e/node-cut', ({ test, cleanup }) => {
  test(
    'a node is Ready again as soon as a long cut is over',
    async () => {
      const cluster = await Cluster.start();
      cleanup(() => cluster.close());
      const two = await cluster.addHost('two');
      await cluster.join(two);
      const ready = () =>
        cluster.kubectl(
          'get',
          'node',
          'two',
          '-o',
          'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
        );
      two.cut();
      await cluster.until(
        'the node to be Unknown',
        async () => (await ready()) === 'Unknown',
        60_000,
      );
      two.heal();
      await cluster.until('the node to be Ready', async () => (await ready()) === 'True', BACK_MS);
      await cluster.until(
        'the taints to go',
        async () =>
          (await cluster.kubectl('get', 'node', 'two', '-o', 'jsonpath={.spec.taints}')) === '',
      );
    },
    TIMEOUT_MS,
  );
});
