/** All of linux.resources on cgroup v2, and user namespaces on an older kernel. Run inside the machine of test/vm. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { sleep } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, type Fixture } from '../runtime/fixture.ts';

const ROOT = '/sys/fs/cgroup';
const MIB = 2 ** 20;
const DISK = readFileSync('/sys/class/block/vda/dev', 'utf8').trim();
const [MAJOR, MINOR] = DISK.split(':').map(Number);
const BASE = 300_000;
const MAPPINGS = [{ containerID: 0, hostID: BASE, size: 65_536 }];
const TYPES = ['user', 'pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'];
/** Since when a tmpfs can be mounted with mapped ids. */
const MAPPED_TMPFS = [6, 3];

function limitOf(f: Fixture, id: string, file: string): string {
  return readFileSync(join(ROOT, f.cgroupParent, id, file), 'utf8').trim();
}

function ended(child: ChildProcess): Promise<unknown> {
  return new Promise((done) => child.once('exit', done));
}

suite('limits of cgroup v2, users of an older kernel', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };

  test('memory with swap, bursts, throttles, huge pages, and all of them by update', async () => {
    const f = await fixture();
    const device = { major: MAJOR, minor: MINOR };
    const resources = {
      memory: { limit: 64 * MIB, swap: 64 * MIB, reservation: 32 * MIB, kernel: 1, swappiness: 3 },
      cpu: { quota: 50_000, period: 50_000, burst: 10_000 },
      blockIO: {
        throttleReadBpsDevice: [{ ...device, rate: 1 << 20 }],
        throttleWriteIOPSDevice: [{ ...device, rate: 400 }],
      },
      hugepageLimits: [{ pageSize: '2MB', limit: 4 * MIB }],
    };
    const spec = f.spec('a', ['sleep', '1000'], { linux: { resources } });
    const { warnings = [] } = await f.runtime.run(spec);
    assert.match(
      warnings.join('\n'),
      /memory.kernel is obsolete[\s\S]*memory.swappiness needs cgroup v1/,
    );
    const found = (file: string) => limitOf(f, 'a', file);
    assert.is(found('memory.max'), String(64 * MIB));
    assert.is(found('cpu.max'), '50000 50000');
    assert.is(found('cpu.max.burst'), '10000');
    assert.is(found('io.max'), `${DISK} rbps=1048576 wbps=max riops=max wiops=400`);
    assert.is(found('hugetlb.2MB.max'), String(4 * MIB));
    assert.is(found('hugetlb.2MB.rsvd.max'), String(4 * MIB));
    await f.runtime.update('a', {
      cpu: { quota: 5_000, burst: 1_000 },
      blockIO: { throttleReadBpsDevice: [{ ...device, rate: 4096 }] },
      unified: { 'memory.high': String(48 * MIB), 'io.max': `${DISK} wbps=8192\n${DISK} riops=7` },
    });
    assert.is(found('cpu.max'), '5000 50000');
    assert.is(found('cpu.max.burst'), '1000');
    assert.is(found('memory.high'), String(48 * MIB));
    assert.is(found('io.max'), `${DISK} rbps=4096 wbps=8192 riops=7 wiops=400`);
    const refusal = async (changes: object) =>
      String(await rejects(f.runtime.update('a', changes as Readonly<Record<string, unknown>>)));
    assert.match(
      await refusal({ network: { classID: 1 } }),
      /net_cls and net_prio, which cgroup v2/,
    );
    assert.match(
      await refusal({ unified: { 'nosuch.max': '1' } }),
      /needs the cgroup controller nosuch/,
    );
    assert.match(
      await refusal({ memory: { limit: 4096, checkBeforeUpdate: true } }),
      /below the \d+ bytes in use/,
    );
    assert.match(await refusal({ memory: { swap: MIB } }), /memory.swap 1048576 is below/);
  });

  test('processes of the parent cgroup make way', async () => {
    const f = await fixture();
    const parent = join(ROOT, f.cgroupParent);
    mkdirSync(parent);
    const sleeper = spawn('sleep', ['1000']);
    writeFileSync(join(parent, 'cgroup.procs'), String(sleeper.pid));
    const linux = { resources: { pids: { limit: 5 } } };
    await f.runtime.run(f.spec('a', ['sleep', '1000'], { linux }));
    assert.is(limitOf(f, 'a', 'pids.max'), '5');
    const leaf = `${f.cgroupParent}/mini-processes`;
    assert.is(readFileSync(`/proc/${sleeper.pid}/cgroup`, 'utf8'), `0::${leaf}\n`);
    const gone = ended(sleeper);
    sleeper.kill('SIGKILL');
    await gone;
    while (readFileSync(join(ROOT, leaf, 'cgroup.procs'), 'utf8') !== '') await sleep(20);
    rmdirSync(join(ROOT, leaf));
  });

  test('a user namespace on layers of ext4; what the kernel cannot map is refused in words', async () => {
    const f = await fixture();
    const linux = { uidMappings: MAPPINGS, gidMappings: MAPPINGS };
    const namespaces = TYPES.map((type) => ({ type }));
    const volume = join(f.dir, 'volume');
    mkdirSync(volume);
    const bind = { type: 'bind', destination: '/v', options: ['bind', 'idmap'] };
    const run = (id: string, source: string) => {
      const script =
        'stat -c %u /bin/busybox /v; touch /v/x /y; stat -c %u /v/x /y; cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.procs';
      const mounts = [{ ...bind, source }];
      const spec = f.spec(id, ['sh', '-c', script], { linux, namespaces, mounts });
      if (spec.overlay) chownSync(spec.overlay.upper, BASE, BASE);
      return f.runtime.run(spec);
    };
    await run('a', volume);
    assert.is((await f.exit('a')).exitCode, 0, f.log('a').join('\n'));
    const lines = f.log('a').map((line) => line.replace(/^\w+ [FP] /, ''));
    assert.equal(lines, ['0', '0', '0', '0', '0::/', '/sys/fs/cgroup/cgroup.procs']);
    const [major = 0, minor = 0] = release().split('.').map(Number);
    const [since = 0, sinceMinor = 0] = MAPPED_TMPFS;
    const canMap = major > since || (major === since && minor >= sinceMinor);
    const shared = run('b', '/dev/shm');
    if (canMap) await shared;
    else
      assert.match(
        String(await rejects(shared)),
        /file system \(type 0x1021994\) cannot map ids with this/,
      );
  });
});
