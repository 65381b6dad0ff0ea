/** When a node runs short, which pod goes first, what it is told, and which pods are still taken. */

import * as assert from 'uvu/assert';
import { refusalUnderPressure } from '../../../../pkg/agent/eviction/admission.ts';
import { evictionMessage, type PodUsage, rank } from '../../../../pkg/agent/eviction/rank.ts';
import type { Observation } from '../../../../pkg/agent/eviction/signals.ts';
import { hasStorageLimits, storageExcess } from '../../../../pkg/agent/eviction/storage-limits.ts';
import {
  isShort,
  judge,
  NO_HISTORY,
  NO_PRESSURE,
} from '../../../../pkg/agent/eviction/thresholds.ts';
import { parseKubeletArgs, type Signal } from '../../../../pkg/agent/node/kubelet-args.ts';
import type { Pod, PodSpec } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

const MIB = 2 ** 20;

function podOf(name: string, spec: Partial<PodSpec> = {}): Pod {
  const metadata = {
    name,
    namespace: 'ns',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '',
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [{ name: 'c' }], ...spec },
  };
}

function asking(memory: string): Partial<PodSpec> {
  return { containers: [{ name: 'c', resources: { requests: { memory } } }] };
}

function using(pod: Pod, usage: Partial<PodUsage>): PodUsage {
  return {
    pod,
    memoryBytes: 0,
    pids: 0,
    diskBytes: 0,
    diskInodes: 0,
    containers: [],
    ...usage,
  };
}

function seen(...rows: readonly (readonly [Signal, number, number])[]) {
  return new Map(
    rows.map(([signal, available, capacity]): [Signal, Observation] => [
      signal,
      { available, capacity },
    ]),
  );
}

suite('eviction: thresholds', ({ test }) => {
  const limits = parseKubeletArgs([
    'eviction-hard=memory.available<100Mi,nodefs.available<10%',
    'eviction-soft=memory.available<200Mi',
    'eviction-soft-grace-period=memory.available=30s',
    'eviction-minimum-reclaim=nodefs.available=5%',
    'eviction-pressure-transition-period=60s',
  ]);

  test('a hard threshold acts at once, a soft one after its grace', () => {
    const soft = seen(['memory.available', 150 * MIB, 1024 * MIB]);
    const first = judge(NO_HISTORY, { limits, observations: soft, nowMs: 1000 });
    assert.equal(first.acting, []);
    assert.is(first.pressure.memory, true);
    const later = judge(first.history, { limits, observations: soft, nowMs: 31_000 });
    assert.equal(later.acting, limits.soft);
    const hard = seen(['memory.available', 50 * MIB, 1024 * MIB]);
    const both = judge(NO_HISTORY, { limits, observations: hard, nowMs: 1000 });
    assert.equal(both.acting, [limits.hard[0]]);
  });

  test('memory goes before disk', () => {
    const observations = seen(['nodefs.available', 1, 100], ['memory.available', 1, 1024 * MIB]);
    const { acting, pressure } = judge(NO_HISTORY, { limits, observations, nowMs: 0 });
    assert.equal(
      acting.map(({ signal }) => signal),
      ['memory.available', 'nodefs.available'],
    );
    assert.equal(pressure, { memory: true, disk: true, pids: false });
  });

  test('once crossed, a threshold wants its minimum reclaim', () => {
    const short = judge(NO_HISTORY, {
      limits,
      observations: seen(['nodefs.available', 9, 100]),
      nowMs: 0,
    });
    const observations = seen(['nodefs.available', 12, 100]);
    assert.is(judge(short.history, { limits, observations, nowMs: 1 }).acting.length, 1);
    assert.is(judge(NO_HISTORY, { limits, observations, nowMs: 1 }).acting.length, 0);
    const [, nodefs] = limits.hard;
    if (!nodefs) throw new Error('no threshold');
    assert.is(isShort(nodefs, seen(['nodefs.available', 15, 100]), limits), false);
  });

  test('a pressure stays for the transition period', () => {
    const short = seen(['memory.available', 1, 1024 * MIB]);
    const fine = seen(['memory.available', 800 * MIB, 1024 * MIB]);
    const { history } = judge(NO_HISTORY, { limits, observations: short, nowMs: 0 });
    const soon = judge(history, { limits, observations: fine, nowMs: 59_999 });
    assert.is(soon.pressure.memory, true);
    assert.equal(soon.acting, []);
    assert.is(
      judge(soon.history, { limits, observations: fine, nowMs: 60_000 }).pressure.memory,
      false,
    );
  });

  test('what cannot be measured is not short', () => {
    assert.equal(judge(NO_HISTORY, { limits, observations: new Map(), nowMs: 0 }).acting, []);
  });
});

suite('eviction: order and words', ({ test }) => {
  const limits = parseKubeletArgs(['eviction-hard=memory.available<100Mi,pid.available<10']);
  const [memory, pids] = limits.hard;
  if (!memory || !pids) throw new Error('no threshold');

  test('above requests first, then lower priority, then the larger excess', () => {
    const usages = [
      using(podOf('within', asking('100Mi')), { memoryBytes: 90 * MIB }),
      using(podOf('important', { priority: 10 }), { memoryBytes: 50 * MIB }),
      using(podOf('small'), { memoryBytes: 20 * MIB }),
      using(podOf('large', asking('10Mi')), { memoryBytes: 60 * MIB }),
    ];
    assert.equal(
      rank(usages, 'memory.available').map(({ pod }) => pod.metadata.name),
      ['large', 'small', 'important', 'within'],
    );
    const many = [
      using(podOf('few'), { pids: 2 }),
      using(podOf('many'), { pids: 20 }),
      using(podOf('vital', { priority: 1 }), { pids: 90 }),
    ];
    assert.equal(
      rank(many, 'pid.available').map(({ pod }) => pod.metadata.name),
      ['many', 'few', 'vital'],
    );
    const disks = [
      using(podOf('a'), { diskBytes: 10, diskInodes: 5 }),
      using(podOf('b'), { diskBytes: 20, diskInodes: 1 }),
    ];
    assert.is(rank(disks, 'nodefs.available')[0]?.pod.metadata.name, 'b');
    assert.is(rank(disks, 'nodefs.inodesFree')[0]?.pod.metadata.name, 'a');
  });

  test("the message is the kubelet's", () => {
    const usage = using(podOf('p', asking('8Mi')), {
      containers: [{ name: 'c', memoryBytes: 20 * MIB + 4096, diskBytes: 0 }],
    });
    assert.is(
      evictionMessage(usage, memory, { available: 51 * MIB + 1024, capacity: 1024 * MIB }),
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 52225Ki. Container c was using 20484Ki, request is 8Mi, has larger consumption of memory. ',
    );
    assert.is(
      evictionMessage(usage, pids, { available: 5, capacity: 100 }),
      'The node was low on resource: pids. Threshold quantity: 10, available: 5. ',
    );
  });

  test('under pressure of memory alone, only best-effort pods are refused', () => {
    const low = { ...NO_PRESSURE, memory: true };
    const bestEffort = podOf('p');
    assert.equal(refusalUnderPressure(bestEffort, low), {
      reason: 'Evicted',
      message: 'The node had condition: [MemoryPressure]. ',
    });
    const key = 'node.kubernetes.io/memory-pressure';
    const tolerating = podOf('t', { tolerations: [{ key, operator: 'Exists' }] });
    const critical = podOf('c', { priority: 2_000_001_000 });
    for (const pod of [podOf('b', asking('1Mi')), tolerating, critical])
      assert.is(refusalUnderPressure(pod, low), undefined);
    assert.is(refusalUnderPressure(bestEffort, NO_PRESSURE), undefined);
    assert.is(
      refusalUnderPressure(podOf('b', asking('1Mi')), { ...low, disk: true })?.message,
      'The node had condition: [MemoryPressure DiskPressure]. ',
    );
  });
});

suite('eviction: limits of ephemeral storage', ({ test }) => {
  const sized = (bytes: number) => ({ bytes, inodes: 1 });
  const disk = (container: number, volume: number) => ({
    total: sized(container + volume),
    containers: new Map([['c', sized(container)]]),
    volumes: new Map([['v', sized(volume)]]),
  });

  test('of volumes, pods and containers are kept, in words', () => {
    const limits = { 'ephemeral-storage': '4Mi' };
    const limited = podOf('p', {
      containers: [{ name: 'c', resources: { limits } }],
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '2Mi' } }],
    });
    assert.is(hasStorageLimits(limited), true);
    assert.is(hasStorageLimits(podOf('free', { volumes: [{ name: 'v', emptyDir: {} }] })), false);
    assert.is(storageExcess(limited, disk(MIB, MIB)), undefined);
    assert.equal(storageExcess(limited, disk(0, 3 * MIB)), {
      signal: 'emptydirfs.limit',
      message: 'Usage of EmptyDir volume "v" exceeds the limit "2Mi". ',
    });
    assert.equal(storageExcess(limited, disk(3 * MIB, 2 * MIB)), {
      signal: 'ephemeralpodfs.limit',
      message: 'Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ',
    });
    const half = podOf('h', {
      containers: [{ name: 'c', resources: { limits } }, { name: 'd' }],
      resources: { limits: { 'ephemeral-storage': '1Gi' } },
    });
    assert.equal(storageExcess(half, disk(5 * MIB, 0)), {
      signal: 'ephemeralcontainerfs.limit',
      message: 'Container c exceeded its local ephemeral storage limit "4Mi". ',
    });
  });
});
