/** What a config.json, an image or a container may try beyond the known escapes, and what is said instead. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { createBundle } from './bundle.ts';
import type { Options } from './fixture.ts';

/** Sparse: what would be read of it in earnest takes longer than a test may. */
const BOMB_BYTES = 2 ** 42;
const RUN_TIMEOUT_MS = 60_000;
const NAMESPACES = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'];

suite('hostile configs and images', ({ test, cleanup }) => {
  const setUp = async () => {
    const made = await createBundle();
    cleanup(() => made.close());
    return made;
  };
  const without = (type: string) =>
    NAMESPACES.filter((name) => name !== type).map((name) => ({ type: name }));
  const own = { uid: 0, gid: 0 };
  const swappiness = readFileSync('/proc/sys/vm/swappiness', 'utf8').trim();

  const refused: readonly (readonly [Options, RegExp])[] = [
    // Of another kind, a value would silently not hold: these would be root, and unconfined.
    [{ process: { user: { uid: '1000', gid: 0 } } }, /process\.user\.uid must be a whole number/],
    [
      { process: { user: { uid: 2 ** 32, gid: 0 } } },
      /process\.user\.uid must be .* to 4294967294/,
    ],
    [{ process: { user: { uid: 2 ** 32 - 1, gid: 0 } } }, /process\.user\.uid must be/],
    [
      { process: { user: { ...own, additionalGids: [4, -1] } } },
      /process\.user\.additionalGids\[1\] must be/,
    ],
    [{ process: { noNewPrivileges: 'true' } }, /process\.noNewPrivileges must be true or false/],
    [{ process: { args: ['echo', 5] } }, /process\.args\[1\] must be a text/],
    [{ process: { cwd: '/tmp\0/x' } }, /process\.cwd must be a text without null bytes/],
    [{ process: { cwd: 'tmp' } }, /process\.cwd "tmp" must be absolute/],
    [{ process: { oomScoreAdj: 1001 } }, /process\.oomScoreAdj must be .* from -1000 to 1000/],
    [{ root: { readonly: 'yes' } }, /root\.readonly must be true or false/],
    [{ mounts: [{ destination: '/x', options: 'ro' }] }, /mounts\[7\]\.options must be a list/],
    [{ linux: { maskedPaths: '/proc/kcore' } }, /linux\.maskedPaths must be a list/],
    [{ linux: { resources: { pids: { limit: '5' } } } }, /linux\.resources\.pids\.limit must be/],
    [{ config: { annotations: { a: 1 } } }, /annotations\.a must be a text/],
    [{ config: { hooks: { poststop: {} } } }, /hooks\.poststop must be a list/],
    [{ config: { zos: {} } }, /zos is not supported/],
    [
      { namespaces: [...without(''), { type: 'pid' }] },
      /linux\.namespaces lists "pid" more than once/,
    ],
    [
      { process: { rlimits: [1, 2].map((soft) => ({ type: 'RLIMIT_CORE', soft, hard: 2 })) } },
      /process\.rlimits lists "RLIMIT_CORE" more than once/,
    ],
    // What would change the host.
    [{ linux: { sysctl: { 'vm.swappiness': swappiness } } }, /"vm\.swappiness" is not one that/],
    [
      { linux: { sysctl: { 'net/../vm/swappiness': swappiness } } },
      /"net\/\.\.\/vm\/swappiness" is not one that/,
    ],
    [
      { linux: { sysctl: { 'net.ipv4.ip_forward': '1' } }, namespaces: without('network') },
      /"net\.ipv4\.ip_forward" needs a network namespace of its own/,
    ],
    [
      {
        linux: { sysctl: { 'kernel.sem': '1 2 3 4' } },
        namespaces: [...without('ipc'), { type: 'ipc', path: '/proc/self/ns/ipc' }],
      },
      /"kernel\.sem" needs a ipc namespace of its own/,
    ],
    [{ config: { hostname: hostname() }, namespaces: without('uts') }, /hostname needs a uts/],
  ];
  test('refuses what would not hold, or would change the host', async () => {
    const b = await setUp();
    for (const [options, message] of refused) {
      b.config(['true'], options);
      const { status, stderr } = b.oci('run', '--bundle', b.bundle, 'a');
      assert.is(status, 1, `${JSON.stringify(options)} was taken`);
      assert.match(stderr, message);
    }
  });

  test('takes sysctls of namespaces that the container has, by either separator', async () => {
    const b = await setUp();
    const files = [
      'net/ipv4/ip_forward',
      'kernel/msgmax',
      'fs/mqueue/queues_max',
      'net/core/somaxconn',
    ];
    const script = `cd /proc/sys; cat ${files.join(' ')}; hostname`;
    b.config(['sh', '-c', script], {
      linux: {
        sysctl: {
          'net.ipv4.ip_forward': '1',
          'kernel.msgmax': '4567',
          'fs.mqueue.queues_max': '99',
          'net/core/somaxconn': '77',
        },
      },
    });
    const { stdout, stderr } = b.oci('run', '--bundle', b.bundle, 'a');
    assert.is(stdout, '1\n4567\n99\n77\nbox\n', stderr);
  });

  test('an exec is refused what would not hold, too', async () => {
    const b = await setUp();
    b.config(['sleep', '1000']);
    assert.is(b.create('a').status, 0);
    assert.is(b.oci('start', 'a').status, 0);
    const file = join(b.dir, 'process.json');
    for (const [change, message] of [
      [{ user: { uid: '99', gid: 0 } }, /user\.uid must be a whole number/],
      [{ cwd: 'tmp' }, /cwd "tmp" must be absolute/],
      [{ capabilities: { bounding: 'CAP_CHOWN' } }, /capabilities\.bounding must be a list/],
    ] as const) {
      const process_ = { args: ['id'], cwd: '/', env: ['PATH=/bin'], user: own, ...change };
      writeFileSync(file, JSON.stringify(process_));
      const { status, stderr } = b.oci('exec', '--process', file, 'a');
      assert.is(status, 1);
      assert.match(stderr, message);
    }
    const resources = join(b.dir, 'resources.json');
    writeFileSync(resources, '{"pids":{"limit":"5"}}');
    assert.match(b.oci('update', '--resources', resources, 'a').stderr, /pids\.limit must be/);
    assert.match(b.oci('exec', '--user', '4294967295', 'a', 'id').stderr, /user\.uid must be/);
  });

  test('without device rules there are the devices of every container, and no others', async () => {
    const b = await setUp();
    const zero = { allow: true, type: 'c', major: 1, minor: 5 };
    const block = { allow: true, major: 7, access: 'r' };
    for (const devices of [undefined, [zero], [block, { ...block, type: 'a', access: 'm' }]]) {
      b.config(['sleep', '1000'], devices ? { linux: { resources: { devices } } } : {});
      assert.is(b.create('a').status, 0);
      const list = readFileSync(join('/sys/fs/cgroup/devices', b.cgroup, 'devices.list'), 'utf8');
      const lines = list.trimEnd().split('\n');
      assert.ok(lines.includes('c 1:3 rwm'), list);
      assert.not.ok(lines.includes('a *:* rwm'), list);
      const own = lines.filter((line) => / 7:/.test(line)).sort();
      assert.equal(own, devices?.[0] === block ? ['b 7:* rm', 'c 7:* rm'] : []);
      assert.is(b.oci('delete', '--force', 'a').status, 0);
    }
  });

  test('a huge /etc/passwd is not read to find a home directory', async () => {
    const b = await setUp();
    mkdirSync(join(b.bundle, 'rootfs/etc'));
    const passwd = join(b.bundle, 'rootfs/etc/passwd');
    writeFileSync(passwd, `${'x'.repeat(2000)}:x:0:0::/wrong:\nroot:x:0:0::/home/root:\n`);
    b.config(['sh', '-c', 'echo $HOME']);
    const run = () =>
      spawnSync(b.helper, [...b.global, 'run', '--bundle', b.bundle, 'a'], {
        encoding: 'utf8',
        timeout: RUN_TIMEOUT_MS,
      }).stdout;
    assert.is(run(), '/wrong\n');
    writeFileSync(passwd, '');
    truncateSync(passwd, BOMB_BYTES);
    assert.is(run(), '/root\n');
  });

  test('what the runtime opens never becomes stdio that its caller had closed', async () => {
    const b = await setUp();
    writeFileSync(join(b.dir, 'secret'), 'of the host\n');
    // The directory of the container's state would be fd 0, and lead out of the root.
    const out = `/proc/self/fd/0/../..${'/..'.repeat(20)}`;
    symlinkSync(`${out}/bin/busybox`, join(b.bundle, 'rootfs/out'));
    b.config(['/out', 'cat', join(b.dir, 'secret')]);
    const command = [b.helper, ...b.global, 'run', '--bundle', b.bundle, 'a'].join(' ');
    const run = (closed: string) =>
      spawnSync('sh', ['-c', `${command} ${closed}`], { encoding: 'utf8' });
    const { stdout: told, stderr } = run('<&-');
    assert.is(told, '');
    assert.match(stderr, /exec: "\/out"/);
    b.config(['ls', '-l', '/proc/self/fd/']);
    const { status, stdout } = run('<&- 2>&-');
    assert.is(status, 0);
    assert.match(stdout, / 0 -> \/dev\/null\n/);
  });
});
