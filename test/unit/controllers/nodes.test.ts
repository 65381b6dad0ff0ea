import * as assert from 'uvu/assert';
import type {
  Node,
  NodeCondition,
  Pod,
  Taint,
  Toleration,
} from '../../../pkg/api/generated/types.ts';
import { keyOf, refOf } from '../../../pkg/api/meta.ts';
import type { Context } from '../../../pkg/controllers/controller.ts';
import { freeShare, parseClusterCidr } from '../../../pkg/controllers/node-ipam.ts';
import { nodeLifecycle } from '../../../pkg/controllers/node-lifecycle.ts';
import { silentConditions, taintsOf, toleratedMs } from '../../../pkg/controllers/node-taints.ts';
import { itemOf, keyRef } from '../../../pkg/controllers/owner-graph.ts';
import { taintEviction } from '../../../pkg/controllers/taint-eviction.ts';
import { silent } from '../../../pkg/log/log.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { suite } from '../../harness/suite.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const METADATA = {
  name: 'x',
  uid: 'x',
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
};

function node(conditions: readonly NodeCondition[], taints: readonly Taint[] = []): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: METADATA,
    spec: { taints },
    status: { conditions },
  };
}

function pod(tolerations: readonly Toleration[]): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: METADATA,
    spec: { containers: [], tolerations },
  };
}

suite('nodes', ({ test }) => {
  test('taints follow from conditions, and others are kept', () => {
    const own = { key: 'mine', effect: 'NoSchedule' };
    const stale = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' };
    const conditions = [
      { type: 'Ready', status: 'Unknown' },
      { type: 'DiskPressure', status: 'True' },
    ];
    const taints = taintsOf(node(conditions, [own, stale]), NOW);
    assert.equal(
      taints.map(({ key, effect }) => `${key}:${effect}`),
      [
        'mine:NoSchedule',
        'node.kubernetes.io/unreachable:NoSchedule',
        'node.kubernetes.io/unreachable:NoExecute',
        'node.kubernetes.io/disk-pressure:NoSchedule',
      ],
    );
    const again = taintsOf(node(conditions, taints), NOW + 5000);
    assert.equal(again, taints);
  });

  test('what a silent node last said becomes unknown', () => {
    const conditions = silentConditions(
      node([
        { type: 'Ready', status: 'True' },
        { type: 'Own', status: 'True' },
      ]),
      NOW,
    );
    assert.equal(
      conditions.map(({ type, status, reason = '' }) => `${type} ${status} ${reason}`),
      [
        'Own True ',
        'Ready Unknown NodeStatusUnknown',
        'MemoryPressure Unknown NodeStatusNeverUpdated',
        'DiskPressure Unknown NodeStatusNeverUpdated',
        'PIDPressure Unknown NodeStatusNeverUpdated',
      ],
    );
  });

  const taint = { key: 'k', value: 'v', effect: 'NoExecute' };
  const stays: readonly [string, readonly Toleration[], number | undefined][] = [
    ['not at all without a toleration', [], 0],
    ['not at all with another toleration', [{ key: 'other', operator: 'Exists' }], 0],
    ['for ever with a toleration for ever', [{ key: 'k', operator: 'Exists' }], undefined],
    ['for ever with one for all keys', [{ operator: 'Exists' }], undefined],
    ['for 300 s with one for those', [{ key: 'k', value: 'v', tolerationSeconds: 300 }], 300_000],
    [
      'as long as the first that fits says',
      [
        { key: 'k', operator: 'Exists', tolerationSeconds: 300 },
        { operator: 'Exists', tolerationSeconds: 30 },
      ],
      300_000,
    ],
  ];
  for (const [title, tolerations, expected] of stays) {
    test(`a pod stays on a tainted node ${title}`, () => {
      assert.is(toleratedMs(pod(tolerations), [taint]), expected);
    });
  }

  test('of several taints the one that is tolerated least counts', () => {
    const other = { key: 'x', effect: 'NoExecute' };
    const one = { key: 'k', operator: 'Exists', tolerationSeconds: 300 };
    const two = { key: 'x', operator: 'Exists', tolerationSeconds: 30 };
    assert.is(toleratedMs(pod([one, two]), [taint, other]), 30_000);
    assert.is(toleratedMs(pod([one]), [taint, other]), 0);
  });

  const tainted = () => {
    const clock = movableClock();
    let live: Node | undefined;
    let pods: Pod[] = [];
    const told: string[] = [];
    const context = {
      cache: { get: () => live, indexed: () => pods },
      client: {
        patch: async () => live,
        remove: async (_resource: string, { name }: { name: string }) =>
          told.push(`deleted ${name}`),
      },
      events: { normal: (_pod: Pod, _reason: string, message: string) => told.push(message) },
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
    } as unknown as Context;
    const controller = taintEviction();
    return {
      clock,
      told,
      look: () => controller.reconcile({ name: 'x' }, context, AbortSignal.timeout(5_000)),
      restarted: () =>
        taintEviction().reconcile({ name: 'x' }, context, AbortSignal.timeout(5_000)),
      set: (taints: readonly Taint[], ...next: Pod[]) => {
        live = node([], taints);
        pods = next;
      },
    };
  };
  const named = (name: string, seconds: number): Pod => {
    const toleration = { key: 'k', operator: 'Exists', tolerationSeconds: seconds };
    const metadata = { ...METADATA, namespace: 'default', name, uid: name };
    return { ...pod([toleration]), metadata };
  };

  test('pods leave when the time is over that they tolerate a taint for, whoever set it', async () => {
    const { clock, told, look, set } = tainted();
    const [short, long] = [named('short', 5), named('long', 25)];
    set([taint], short, long);
    assert.equal(await look(), { requeueAfterMs: 5_000 });
    await clock.pass(4_000);
    clock.move(-3_600_000); // Nobody stays longer, or shorter, for a clock that is set.
    assert.equal(await look(), { requeueAfterMs: 1_000 });
    await clock.pass(1_000);
    assert.equal(await look(), { requeueAfterMs: 20_000 });
    assert.equal(told, ['Marking for deletion Pod default/short', 'deleted short']);
    set([taint], long);
    await clock.pass(20_000);
    await look();
    assert.equal(told.slice(2), ['Marking for deletion Pod default/long', 'deleted long']);
  });

  test('a taint that is removed in time lets its pods stay', async () => {
    const { clock, told, look, set } = tainted();
    set([taint], named('a', 10));
    await look();
    await clock.pass(5_000);
    set([], named('a', 10));
    assert.equal(await look(), {});
    assert.equal(told, ['Cancelling deletion of Pod default/a']);
    await clock.pass(60_000);
    assert.equal(await look(), {});
    set([taint], named('a', 10));
    assert.equal(await look(), { requeueAfterMs: 10_000 });
    assert.is(told.length, 1);
  });

  test('a restart gives no more time under a taint that says since when it is there', async () => {
    const { clock, look, restarted, set } = tainted();
    const timeAdded = new Date(clock.now()).toISOString();
    set([{ ...taint, timeAdded }], named('a', 300));
    await look();
    await clock.pass(100_000);
    assert.equal(await restarted(), { requeueAfterMs: 200_000 });
    // A pod that came later has all of its time.
    const late = named('late', 300);
    const startTime = new Date(clock.now()).toISOString();
    set([{ ...taint, timeAdded }], { ...late, status: { startTime } });
    assert.equal(await restarted(), { requeueAfterMs: 300_000 });
  });

  test('shares of the cluster range are given lowest first', () => {
    const range = parseClusterCidr('10.42.0.0/16');
    assert.is(freeShare(range, new Set()), '10.42.0.0/22');
    assert.is(freeShare(range, new Set(['10.42.0.0/22', '10.42.8.0/22'])), '10.42.4.0/22');
    // Shares of an earlier version.
    assert.is(freeShare(range, new Set(['10.42.0.0/24', '10.42.5.0/24'])), '10.42.8.0/22');
    const all = Array.from({ length: 64 }, (_, i) => `10.42.${i * 4}.0/22`);
    assert.is(freeShare(range, new Set(all)), undefined);
    const small = parseClusterCidr('192.168.4.77/23');
    assert.is(freeShare(small, new Set(['192.168.4.0/24'])), '192.168.5.0/24');
    assert.is(freeShare(small, new Set(['192.168.4.0/24', '192.168.5.0/24'])), undefined);
  });

  for (const text of ['10.42.0.0', '10.42.0.0/25', '10.42.0/16', 'fd00::/48', '10.42.0.300/16']) {
    test(`refuses the cluster range ${text}`, () => {
      assert.throws(() => parseClusterCidr(text), /Invalid cluster CIDR/);
    });
  }

  test('items of any resource survive as keys', () => {
    const items = [
      { resource: 'pods', ref: { namespace: 'default', name: 'a' } },
      { resource: 'clusterroles', ref: { name: 'system:node' } },
      { resource: 'widgets.v1.example.com', ref: { namespace: 'n', name: 'w' } },
    ];
    assert.equal(
      items.map((item) => itemOf(refOf(keyOf(keyRef(item))))),
      items,
    );
  });

  test('a clock that is moved makes no node silent, and keeps none from being found so', async () => {
    for (const jumpMs of [3 * 3_600_000, -3 * 3_600_000]) {
      const clock = movableClock();
      const told: string[] = [];
      const live = node([{ type: 'Ready', status: 'True', lastHeartbeatTime: '1' }]);
      const context = {
        cache: {
          get: (resource: string) => (resource === 'nodes' ? live : undefined),
          indexed: () => [],
        },
        client: {
          updateStatus: async (_resource: string, next: Node) => next,
          patch: async () => live,
        },
        events: { normal: (_node: Node, reason: string) => told.push(reason) },
        log: silent,
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
      } as unknown as Context;
      const controller = nodeLifecycle();
      const look = () => controller.reconcile({ name: 'x' }, context, AbortSignal.timeout(5_000));
      await look();
      clock.move(jumpMs);
      await clock.pass(39_000);
      await look();
      assert.equal(told, [], `${jumpMs}`);
      await clock.pass(1_000);
      await look();
      assert.equal(told, ['NodeNotReady'], `${jumpMs}`);
    }
  });
});
