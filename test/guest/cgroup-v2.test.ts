/** The helper where cgroup v2 is all there is. Run inside the machine of test/vm. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { sleep } from '../../pkg/wait/clock.ts';
import { suite } from '../harness/suite.ts';
import { createFixture, type Fixture, textOf } from '../runtime/fixture.ts';

const ROOT = '/sys/fs/cgroup';
const POLL_MS = 20;

function limitOf(f: Fixture, id: string, file: string): string {
  return readFileSync(join(ROOT, f.cgroupParent, id, file), 'utf8').trim();
}

/** Numbers of the machine's disk. */
const DISK = readFileSync('/sys/class/block/vda/dev', 'utf8').trim().split(':').map(Number);
const MKNOD = ['CAP_MKNOD'];
const MAY_MAKE_NODES = {
  capabilities: { bounding: MKNOD, permitted: MKNOD, effective: MKNOD },
};

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(POLL_MS);
}

suite('cgroup v2', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };

  test('writes every limit, and changes them', async () => {
    const f = await fixture();
    const resources = {
      memory: { limit: 64 << 20, reservation: 32 << 20 },
      cpu: { shares: 1024, quota: 50000, period: 100000, cpus: '0' },
      pids: { limit: 20 },
    };
    const state = await f.runtime.run(f.spec('a', ['sleep', '1000'], { linux: { resources } }));
    assert.equal(state.warnings, []);
    const found = (file: string) => limitOf(f, 'a', file);
    assert.is(found('memory.max'), String(64 << 20));
    assert.is(found('memory.low'), String(32 << 20));
    assert.is(found('cpu.weight'), '100');
    assert.is(found('cpu.max'), '50000 100000');
    assert.is(found('cpuset.cpus'), '0');
    assert.is(found('pids.max'), '20');
    assert.is(found('cgroup.procs'), String(state.pid));
    await f.runtime.update('a', {
      memory: { limit: 32 << 20 },
      cpu: { shares: 2, quota: -1 },
      pids: { limit: -1 },
      unified: { 'memory.high': String(30 << 20) },
    });
    assert.is(found('memory.max'), String(32 << 20));
    assert.is(found('memory.high'), String(30 << 20));
    assert.is(found('cpu.weight'), '1');
    assert.is(found('cpu.max'), 'max 100000');
    assert.is(found('pids.max'), 'max');
  });

  test('tells an out-of-memory kill from others', async () => {
    const f = await fixture();
    const linux = { resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
    const eater = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'];
    const { exit } = await f.runToEnd(eater, { linux });
    assert.equal([exit.exitCode, exit.isOomKilled], [137, true]);
    // The child is killed for want of memory, its parent by the user.
    const script = `${eater.join(' ')}; sleep 1000`;
    await f.runtime.run(f.spec('c', ['sh', '-c', script], { linux }));
    await until(() => /oom_kill 1/.test(limitOf(f, 'c', 'memory.events')));
    await f.runtime.kill('c', 9);
    assert.is((await f.exit('c')).isOomKilled, false);
    await f.runtime.run(f.spec('k', ['sleep', '1000'], { linux }));
    await f.runtime.kill('k', 9);
    const killed = await f.exit('k');
    assert.equal([killed.exitCode, killed.isOomKilled], [137, false]);
  });

  test('refuses more processes than allowed', async () => {
    const f = await fixture();
    const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo unreached';
    const { lines, exit } = await f.runToEnd(['sh', '-c', script], {
      linux: { resources: { pids: { limit: 4 } } },
    });
    assert.is.not(exit.exitCode, 0);
    assert.ok(
      lines.some((line) => line.includes('fork')),
      lines.join('\n'),
    );
  });

  test('lets a program use the devices that the rules allow, and no others', async () => {
    const f = await fixture();
    const [major, minor] = DISK;
    const devices = [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'b', major, minor, access: 'r' },
    ];
    const make = `mknod /null c 1 3; mknod /mem c 1 1; mknod /disk b ${major} ${minor}`;
    const use = [
      'echo x >/null && echo null written',
      'head -c 1 /mem >/dev/null || echo mem refused',
      'head -c 1 /disk >/dev/null && echo disk read',
      'dd if=/null of=/disk conv=notrunc || echo disk write refused',
    ].join('; ');
    const { lines } = await f.runToEnd(['sh', '-c', `{ ${make}; ${use}; } 2>&1`], {
      linux: { resources: { devices } },
      process: MAY_MAKE_NODES,
    });
    const text = lines.join('\n');
    for (const wanted of ['null written', 'mem refused', 'disk read', 'disk write refused'])
      assert.ok(lines.includes(wanted), `${wanted}:\n${text}`);
    assert.ok(text.includes('/mem: Operation not permitted'), text);
  });

  test('replaces device rules by an update', async () => {
    const f = await fixture();
    const denied = [{ allow: false, access: 'rwm' }];
    const linux = { resources: { devices: denied } };
    const script = `mknod /disk b ${DISK.join(' ')}; exec sleep 1000`;
    await f.runtime.run(f.spec('a', ['sh', '-c', script], { linux, process: MAY_MAKE_NODES }));
    const read = async () => {
      const session = await f.runtime.exec('a', {
        execId: 'x',
        args: ['sh', '-c', 'head -c 1 /disk >/dev/null 2>&1 && echo read || echo refused'],
        env: ['PATH=/bin'],
        cwd: '/',
        user: { uid: 0, gid: 0 },
        hasTerminal: false,
        hasStdin: false,
      });
      return (await textOf(session.stdout)).trim();
    };
    assert.is(await read(), 'refused');
    await f.runtime.update('a', {
      devices: [...denied, { allow: true, type: 'b', major: DISK[0], access: 'r' }],
    });
    assert.is(await read(), 'read');
    await f.runtime.update('a', { devices: denied });
    assert.is(await read(), 'refused');
  });

  test('pauses and resumes', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '1000']));
    await f.runtime.pause('a');
    assert.is((await f.runtime.state('a'))?.status, 'paused');
    assert.ok(limitOf(f, 'a', 'cgroup.events').includes('frozen 1'));
    await f.runtime.resume('a');
    assert.is((await f.runtime.state('a'))?.status, 'running');
    await f.runtime.pause('a');
    await f.runtime.delete('a', { isForced: true });
    assert.is(await f.runtime.state('a'), undefined);
  });

  test('runs an exec in the cgroup of its container', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '1000']));
    const session = await f.runtime.exec('a', {
      execId: 'x',
      args: ['sh', '-c', 'cat /proc/self/cgroup; sleep 1000'],
      env: ['PATH=/bin'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      hasTerminal: false,
      hasStdin: false,
    });
    for await (const chunk of session.stdout) {
      // Seen from the container's cgroup namespace.
      assert.is(String(chunk), '0::/\n');
      break;
    }
    assert.ok((await f.runtime.processes('a')).length >= 2);
  });

  test('removes the cgroups, with those made below', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '1000']));
    const dir = join(ROOT, f.cgroupParent);
    assert.ok(existsSync(join(dir, 'a')));
    await f.runtime.delete('a', { isForced: true });
    assert.not.ok(existsSync(dir));
  });
});
