/** The parts of a config.json that are decided here: users, environment, capabilities, signals, mounts, limits. */

import * as assert from 'uvu/assert';
import { capabilitiesOf } from '../../../pkg/engine/capabilities.ts';
import type { ContainerConfig, Security } from '../../../pkg/engine/engine.ts';
import { freeRange, MAX_RANGES } from '../../../pkg/engine/id-ranges.ts';
import { mergeEnv, planProcess } from '../../../pkg/engine/process.ts';
import { signalNumber } from '../../../pkg/engine/signals.ts';
import { type SpecFacts, toSpec } from '../../../pkg/engine/spec.ts';
import { resolveUser } from '../../../pkg/engine/users.ts';
import { suite } from '../../harness/suite.ts';

const FILES = {
  passwd: 'root:x:0:0::/root:/bin/sh\n# note\napp:x:1000:1001::/:\n2000:x:3:4::/:\nbad:x:z:1::/:\n',
  group: 'root:x:0:\nteam:x:50:app,root\nmore:x:60:app\nown:x:1001:app\n',
};
const NOTHING = { passwd: undefined, group: undefined };
const IMAGE = {
  entrypoint: ['/entry', '-a'],
  cmd: ['cmd'],
  env: ['PATH=/x', 'A=1'],
  workingDir: '/work',
  user: '',
  exposedPorts: [],
  volumes: [],
  labels: {},
};
const CONFIG: ContainerConfig = {
  id: 'c1',
  sandboxId: 's1',
  labels: {},
  image: 'app',
  env: [],
  mounts: [],
  resources: {},
  security: {},
  cgroupParent: '/mini/pod1',
  hasTerminal: false,
  hasStdin: false,
  isStdinOnce: false,
};

suite('container specification', ({ test }) => {
  const users: readonly (readonly [string, unknown])[] = [
    ['', { uid: 0, gid: 0, additionalGids: [50] }],
    ['app', { uid: 1000, gid: 1001, additionalGids: [50, 60] }],
    ['1000', { uid: 1000, gid: 1001, additionalGids: [50, 60] }],
    ['app:team', { uid: 1000, gid: 50, additionalGids: [] }],
    ['7', { uid: 7, gid: 0, additionalGids: [] }],
    ['7:8', { uid: 7, gid: 8, additionalGids: [] }],
    ['2000', { uid: 3, gid: 4, additionalGids: [] }],
  ];
  for (const [text, expected] of users) {
    test(`user "${text}" is looked up`, () => {
      assert.equal(resolveUser(text, FILES), expected);
    });
  }

  test('users without files are numbers or root, and unknown names are refused', () => {
    assert.equal(resolveUser('', NOTHING), { uid: 0, gid: 0, additionalGids: [] });
    assert.equal(resolveUser('65532:65532', NOTHING), {
      uid: 65532,
      gid: 65532,
      additionalGids: [],
    });
    assert.throws(() => resolveUser('app', NOTHING), 'unable to find user app');
    assert.throws(() => resolveUser('7:none', FILES), 'unable to find group none');
    assert.throws(() => resolveUser('99999999999', FILES), 'unable to find user');
    assert.throws(() => resolveUser('bad', FILES), 'unable to find user');
  });

  const commands: readonly (readonly [Partial<ContainerConfig>, readonly string[]])[] = [
    [{}, ['/entry', '-a', 'cmd']],
    [{ args: ['x'] }, ['/entry', '-a', 'x']],
    [{ command: ['/own'] }, ['/own']],
    [{ command: ['/own'], args: ['x'] }, ['/own', 'x']],
  ];
  for (const [config, args] of commands) {
    test(`${JSON.stringify(config)} runs ${args.join(' ')}`, () => {
      const facts = { config: { ...CONFIG, ...config }, image: IMAGE, roots: [], hostname: 'h' };
      assert.equal(planProcess(facts).args, args);
    });
  }

  test('environment: defaults, the image, the container; directory: the container, the image, /', () => {
    const config = { ...CONFIG, env: ['A=2', 'B='], hasTerminal: true };
    const plan = planProcess({ config, image: IMAGE, roots: [], hostname: 'h' });
    assert.equal(plan.env, ['PATH=/x', 'HOSTNAME=h', 'TERM=xterm', 'A=2', 'B=']);
    assert.is(plan.cwd, '/work');
    const bare = { ...IMAGE, env: [], workingDir: '' };
    const plain = planProcess({ config: CONFIG, image: bare, roots: [], hostname: 'h' });
    assert.match(plain.env[0] ?? '', 'PATH=/usr/local/sbin:');
    assert.is(plain.cwd, '/');
    assert.equal(mergeEnv(['A', 'A=1', 'B=x=y']), ['A=1', 'B=x=y']);
    const none = { ...IMAGE, entrypoint: [], cmd: [] };
    assert.throws(
      () => planProcess({ config: CONFIG, image: none, roots: [], hostname: 'h' }),
      'no command specified',
    );
  });

  const sets: readonly (readonly [Security, (names: readonly string[]) => boolean])[] = [
    [{}, (names) => names.length === 14 && names.includes('CAP_CHOWN')],
    [{ isPrivileged: true }, (names) => names.length === 41],
    [{ dropCapabilities: ['ALL'] }, (names) => names.length === 0],
    [
      { dropCapabilities: ['all'], addCapabilities: ['NET_ADMIN'] },
      (n) => n.join() === 'CAP_NET_ADMIN',
    ],
    [{ addCapabilities: ['CAP_SYS_TIME'] }, (names) => names.length === 15],
    [{ addCapabilities: ['ALL'], dropCapabilities: ['MKNOD'] }, (names) => names.length === 40],
  ];
  for (const [security, isRight] of sets) {
    test(`capabilities of ${JSON.stringify(security)}`, () => {
      assert.ok(isRight(capabilitiesOf(security)), capabilitiesOf(security).join());
    });
  }

  test('unknown capabilities are refused', () => {
    assert.throws(() => capabilitiesOf({ addCapabilities: ['FLY'] }), 'unknown capability "FLY"');
  });

  test('signals have names, numbers and real-time names', () => {
    const known = [
      ['SIGTERM', 15],
      ['term', 15],
      ['9', 9],
      [10, 10],
      ['SIGRTMIN+3', 37],
      ['RTMAX-1', 63],
    ] as const;
    for (const [signal, number] of known) assert.is(signalNumber(signal), number, String(signal));
    for (const bad of ['SIGNOTHING', '0', '65', '', 'RTMAX+1']) {
      assert.is(signalNumber(bad), undefined, bad);
    }
  });

  const plan = {
    args: ['/x'],
    env: [],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
  };
  const specOf = (
    config: Partial<ContainerConfig>,
    mounts: ContainerConfig['mounts'] = [],
    facts: Partial<SpecFacts> = {},
  ) =>
    toSpec({
      config: { ...CONFIG, ...config },
      process: plan,
      namespaces: { net: '/n/net', ipc: '/n/ipc', uts: '/n/uts' },
      firstId: undefined,
      pidNamespace: 'own',
      devices: [],
      mounts,
      ...facts,
    }) as unknown as {
      linux: Record<string, unknown> & { namespaces: unknown[] };
      mounts: { destination: string; type: string; options: string[] }[];
      root: unknown;
      process: Record<string, unknown>;
    };

  test('a user namespace brings its mappings, mapped mounts and always a cgroup namespace', () => {
    const bind = { source: '/a', destination: '/b', isReadOnly: true, isRecursivelyReadOnly: true };
    const { linux, mounts } = specOf({ security: { isPrivileged: true } }, [bind], {
      firstId: 131_072,
      namespaces: { user: '/n/user' },
    });
    const mapping = [{ containerID: 0, hostID: 131_072, size: 65_536 }];
    assert.equal(linux['uidMappings'], mapping);
    assert.equal(linux['gidMappings'], mapping);
    assert.equal(linux.namespaces, [
      { type: 'mount' },
      { type: 'pid' },
      { type: 'user', path: '/n/user' },
      { type: 'cgroup' },
    ]);
    assert.equal(mounts.at(-1)?.options, ['rbind', 'rprivate', 'idmap', 'ro', 'rro']);
  });

  test('id ranges: the lowest free one above the host’s own, until all are taken', () => {
    assert.is(freeRange([]), 65_536);
    assert.is(freeRange([65_536, 3 * 65_536]), 2 * 65_536);
    const all = Array.from({ length: MAX_RANGES }, (_, index) => (index + 1) * 65_536);
    assert.is(freeRange(all), undefined);
    assert.is(freeRange(all.slice(0, -1)), MAX_RANGES * 65_536);
  });

  test('namespaces, cgroup and limits', () => {
    const { linux } = specOf({
      resources: { cpuShares: 512, cpuQuotaUs: 50_000, memoryLimitBytes: 2 ** 26, pidsLimit: 9 },
    });
    assert.equal(linux.namespaces, [
      { type: 'mount' },
      { type: 'pid' },
      { type: 'network', path: '/n/net' },
      { type: 'ipc', path: '/n/ipc' },
      { type: 'uts', path: '/n/uts' },
      { type: 'cgroup' },
    ]);
    assert.is(linux['cgroupsPath'], '/mini/pod1/c1');
    const { devices, ...limits } = linux['resources'] as Record<string, unknown>;
    assert.equal(limits, {
      cpu: { shares: 512, quota: 50_000 },
      memory: { limit: 2 ** 26, swap: 2 ** 26 },
      pids: { limit: 9 },
    });
    assert.equal((devices as unknown[])[0], { allow: false, access: 'rwm' });
  });

  test('a privileged container sees what others do not', () => {
    const plain = specOf({});
    const { linux, mounts } = specOf({ security: { isPrivileged: true } });
    assert.ok(Array.isArray(plain.linux['maskedPaths']));
    assert.is(linux['maskedPaths'], undefined);
    assert.ok(mounts.find(({ destination }) => destination === '/sys')?.options.includes('rw'));
    assert.ok(
      plain.mounts.find(({ destination }) => destination === '/sys')?.options.includes('ro'),
    );
    assert.is(specOf({ security: { mayGainPrivileges: false } }).process['noNewPrivileges'], true);
  });

  test('a device that is given may be read, and written only when it is not read-only', () => {
    const device = { type: 'b', major: 7, minor: 3, fileMode: 0o660, uid: 0, gid: 6 } as const;
    const given = [
      { ...device, path: '/dev/xvda', isReadOnly: false },
      { ...device, path: '/dev/xvdb', minor: 4, isReadOnly: true },
    ];
    const { linux } = specOf({}, [], { given });
    assert.equal(linux['devices'], [
      { ...device, path: '/dev/xvda' },
      { ...device, path: '/dev/xvdb', minor: 4 },
    ]);
    const { devices } = linux['resources'] as { devices: unknown[] };
    assert.equal(devices.slice(-2), [
      { allow: true, type: 'b', major: 7, minor: 3, access: 'rwm' },
      { allow: true, type: 'b', major: 7, minor: 4, access: 'r' },
    ]);
  });

  test('own mounts win over the default ones and carry propagation', () => {
    const { linux, mounts } = specOf({}, [
      { source: '/a', destination: '/dev/shm', isReadOnly: true, propagation: 'rslave' },
      { source: '', destination: '/t', isReadOnly: false, type: 'tmpfs', options: ['size=1m'] },
    ]);
    const shm = mounts.filter(({ destination }) => destination === '/dev/shm');
    assert.equal(
      shm.map(({ options }) => options),
      [['rbind', 'rslave', 'ro']],
    );
    assert.is(linux['rootfsPropagation'], 'rslave');
    assert.equal(mounts.at(-1), {
      destination: '/t',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', 'size=1m', 'rw'],
    });
  });
});
