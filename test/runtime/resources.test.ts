/** linux.resources as cgroup files (v1 here; test/guest has those of v2), at the start and by update. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, type Fixture } from './fixture.ts';

const CGROUPS = '/sys/fs/cgroup';
const MIB = 2 ** 20;

/** A disk of this machine, as major and minor number. */
function disk(): { readonly major: number; readonly minor: number } {
  const [, major, minor] = /^\s*(\d+)\s+(\d+)\s+\d+ [vs]d\w*$/m.exec(
    readFileSync('/proc/partitions', 'utf8'),
  ) ?? ['', '0', '0'];
  return { major: Number(major), minor: Number(minor) };
}

function value(f: Fixture, id: string, file: string): string {
  const [controller] = file.split('.');
  return readFileSync(join(CGROUPS, controller ?? '', f.cgroupParent, id, file), 'utf8').trim();
}

const MEMORY = {
  limit: 64 * MIB,
  swap: 96 * MIB,
  reservation: 32 * MIB,
  swappiness: 10,
  disableOOMKiller: true,
  useHierarchy: true,
};
const CPU = { shares: 2048, quota: 50_000, period: 50_000, burst: 10_000 };

suite('runtime resources', ({ test, cleanup }) => {
  async function fixture(): Promise<Fixture> {
    const f = await createFixture();
    cleanup(() => f.close());
    return f;
  }

  test('sets memory, cpu, cpusets, pids and throttles', async () => {
    const f = await fixture();
    const device = disk();
    const blockIO = {
      throttleReadBpsDevice: [{ ...device, rate: 1 << 20 }],
      throttleWriteBpsDevice: [{ ...device, rate: 2 << 20 }],
      throttleReadIOPSDevice: [{ ...device, rate: 300 }],
      throttleWriteIOPSDevice: [{ ...device, rate: 400 }],
    };
    const resources = {
      memory: MEMORY,
      cpu: { ...CPU, cpus: '0', mems: '0' },
      pids: { limit: 9 },
      blockIO,
    };
    await f.runtime.run(f.spec('a', ['sleep', '60'], { linux: { resources } }));
    const at = `${device.major}:${device.minor}`;
    for (const [file, expected] of [
      ['memory.limit_in_bytes', String(64 * MIB)],
      ['memory.memsw.limit_in_bytes', String(96 * MIB)],
      ['memory.soft_limit_in_bytes', String(32 * MIB)],
      ['memory.swappiness', '10'],
      ['cpu.shares', '2048'],
      ['cpu.cfs_quota_us', '50000'],
      ['cpu.cfs_period_us', '50000'],
      ['cpu.cfs_burst_us', '10000'],
      ['cpuset.cpus', '0'],
      ['cpuset.mems', '0'],
      ['pids.max', '9'],
      ['blkio.throttle.read_bps_device', `${at} 1048576`],
      ['blkio.throttle.write_bps_device', `${at} 2097152`],
      ['blkio.throttle.read_iops_device', `${at} 300`],
      ['blkio.throttle.write_iops_device', `${at} 400`],
    ] as const)
      assert.is(value(f, 'a', file), expected, file);
    assert.match(value(f, 'a', 'memory.oom_control'), /oom_kill_disable 1/);
  });

  test('update changes all of them, also those that were not limited before', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '60'], { linux: { resources: { cpu: CPU } } }));
    const { pid } = (await f.runtime.state('a')) ?? {};
    const device = disk();
    await f.runtime.update('a', {
      memory: { limit: 64 * MIB, swap: 64 * MIB },
      cpu: { quota: 5_000, period: 10_000, burst: 1_000, cpus: '0' },
      blockIO: { throttleReadBpsDevice: [{ ...device, rate: 4096 }] },
      pids: { limit: 20 },
    });
    assert.is(value(f, 'a', 'cpu.cfs_quota_us'), '5000');
    assert.is(value(f, 'a', 'cpu.cfs_period_us'), '10000');
    assert.is(value(f, 'a', 'cpu.cfs_burst_us'), '1000');
    assert.is(value(f, 'a', 'cpuset.cpus'), '0');
    assert.is(value(f, 'a', 'cpuset.mems'), '0');
    const entered = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    assert.match(entered, new RegExp(`:cpuset:${f.cgroupParent}/a$`, 'm'));
    assert.match(entered, new RegExp(`:blkio:${f.cgroupParent}/a$`, 'm'));
    assert.match(value(f, 'a', 'blkio.throttle.read_bps_device'), / 4096$/);
    // Both directions of memory and memory+swap.
    await f.runtime.update('a', { memory: { limit: 128 * MIB, swap: 160 * MIB } });
    await f.runtime.update('a', { memory: { limit: 32 * MIB, swap: 32 * MIB } });
    assert.is(value(f, 'a', 'memory.limit_in_bytes'), String(32 * MIB));
    await f.runtime.update('a', { memory: { disableOOMKiller: true } });
    await f.runtime.update('a', { memory: { disableOOMKiller: false } });
    assert.match(value(f, 'a', 'memory.oom_control'), /oom_kill_disable 0/);
    await f.runtime.update('a', { memory: { limit: -1, swap: -1 } });
    assert.ok(Number(value(f, 'a', 'memory.limit_in_bytes')) > 2 ** 60);
  });

  test('checkBeforeUpdate refuses a limit below what is used', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '60']));
    const error = await rejects(
      f.runtime.update('a', { memory: { limit: 4096, checkBeforeUpdate: true } }),
    );
    assert.match(String(error), /memory.limit 4096 is below the \d+ bytes in use/);
  });

  for (const [what, resources] of [
    [/needs cgroup v2, which this host has not/, { unified: { 'memory.high': '1' } }],
    [/controller net_cls is not mounted/, { network: { classID: 1 } }],
    [
      /controller net_prio is not mounted/,
      { network: { priorities: [{ name: 'lo', priority: 1 }] } },
    ],
    [/controller rdma is not mounted/, { rdma: { mlx5_1: { hcaHandles: 3 } } }],
    [/cpu.realtimeRuntime.*|no realtime budget/, { cpu: { realtimeRuntime: 5000 } }],
    [/pageSize is missing/, { hugepageLimits: [{ limit: 1 }] }],
  ] as const)
    test(`refuses ${JSON.stringify(resources)}`, async () => {
      const f = await fixture();
      const spec = f.spec('x', ['true'], { linux: { resources } });
      assert.match(String(await rejects(f.runtime.run(spec))), what);
      assert.equal(await f.runtime.list(), []);
    });

  test('warns of what the kernel ignores or this machine has not', async () => {
    const f = await fixture();
    const resources = {
      memory: { kernel: MIB },
      blockIO: { leafWeight: 10 },
      hugepageLimits: [{ pageSize: '2MB', limit: 4 * MIB }],
    };
    const spec = f.spec('x', ['sleep', '60'], { linux: { resources } });
    const { warnings = [] } = await f.runtime.run(spec);
    const text = warnings.join('\n');
    assert.match(text, /memory.kernel is obsolete/);
    assert.match(text, /leafWeight is obsolete/);
    assert.match(text, /hugetlb/);
  });
});
