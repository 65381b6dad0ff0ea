/** Writes the OCI runtime specification's config.json for a container. */

import type { OciSpec } from '../runtime/runtime.ts';
import { capabilitiesOf } from './capabilities.ts';
import { isCgroupV2 } from './cgroups.ts';
import { deviceRules, type GivenDevice, type HostDevice } from './devices.ts';
import type { ContainerConfig, Mount, Resources } from './engine.ts';
import { mappingOf } from './id-ranges.ts';
import type { ProcessPlan } from './process.ts';

export interface SpecFacts {
  readonly config: ContainerConfig;
  readonly process: ProcessPlan;
  /** Paths of the sandbox's namespaces, and `shm`, its shared memory; what is missing is the host's. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** First of the host's ids of its user namespace; undefined = the host's. */
  readonly firstId: number | undefined;
  /** 'host', 'own', or the path of a pid namespace to join. */
  readonly pidNamespace: string;
  /** The host's devices, for a privileged container. */
  readonly devices: readonly HostDevice[];
  /** Those that it was given by name. */
  readonly given?: readonly GivenDevice[];
  readonly mounts: readonly Mount[];
  /** linux.seccomp; undefined = every system call is allowed. */
  readonly seccomp?: Readonly<Record<string, unknown>> | undefined;
}

const VERSION = '1.2.0';
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const SHM_SIZE = '65536k';

/** The whole config.json. */
export function toSpec(facts: SpecFacts): OciSpec {
  const { config, given = [] } = facts;
  const { security } = config;
  const propagation = rootPropagation(facts.mounts);
  return {
    ociVersion: VERSION,
    process: toProcess(facts),
    root: { path: 'rootfs', readonly: security.isReadOnlyRoot === true },
    mounts: [...defaultMounts(facts), ...facts.mounts.map((mount) => toMount(mount, facts))],
    linux: {
      namespaces: toNamespaces(facts),
      ...idMappings(facts),
      devices: [...facts.devices, ...given.map(({ isReadOnly: _, ...device }) => device)],
      cgroupsPath: `${config.cgroupParent}/${config.id}`,
      resources: {
        ...toResources(config.resources),
        devices: deviceRules(security.isPrivileged === true, given),
      },
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(facts.seccomp === undefined ? {} : { seccomp: facts.seccomp }),
      ...(security.seLinux === undefined ? {} : { mountLabel: security.seLinux.mount }),
      ...(security.isPrivileged || security.isProcUnmasked
        ? {}
        : { maskedPaths: MASKED_PATHS, readonlyPaths: READONLY_PATHS }),
    },
  };
}

/** Limits as `linux.resources` has them; what is absent is not limited. */
export function toResources(resources: Resources): Readonly<Record<string, unknown>> {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs, memoryLimitBytes, pidsLimit, maySwap } = resources;
  const { hugePages } = resources;
  return {
    cpu: {
      ...(cpuShares === undefined ? {} : { shares: cpuShares }),
      ...(cpuQuotaUs === undefined ? {} : { quota: cpuQuotaUs }),
      ...(cpuPeriodUs === undefined ? {} : { period: cpuPeriodUs }),
    },
    // Swap counts memory too: the same number means none, as Kubernetes has it.
    ...(memoryLimitBytes === undefined
      ? {}
      : { memory: { limit: memoryLimitBytes, swap: memoryLimitBytes } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
    // On v1 it takes a limit, above.
    ...(maySwap === false && isCgroupV2() ? { unified: { 'memory.swap.max': '0' } } : {}),
    ...(hugePages === undefined
      ? {}
      : {
          hugepageLimits: Object.entries(hugePages).map(([pageSize, limit]) => ({
            pageSize,
            limit,
          })),
        }),
  };
}

function toProcess({ config, process }: SpecFacts): Readonly<Record<string, unknown>> {
  const { security } = config;
  const capabilities = capabilitiesOf(security);
  return {
    terminal: config.hasTerminal,
    user: process.user,
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    },
    noNewPrivileges: security.mayGainPrivileges === false,
    ...(security.appArmorProfile === undefined
      ? {}
      : { apparmorProfile: security.appArmorProfile }),
    ...(security.seLinux === undefined ? {} : { selinuxLabel: security.seLinux.process }),
    ...(config.oomScoreAdj === undefined ? {} : { oomScoreAdj: config.oomScoreAdj }),
  };
}

function idMappings({ firstId }: SpecFacts): Readonly<Record<string, unknown>> {
  if (firstId === undefined) return {};
  return { uidMappings: mappingOf(firstId), gidMappings: mappingOf(firstId) };
}

function toNamespaces({ config, namespaces, pidNamespace }: SpecFacts): readonly unknown[] {
  const joined = [
    ['network', namespaces['net']],
    ['ipc', namespaces['ipc']],
    ['uts', namespaces['uts']],
    ['user', namespaces['user']],
  ].flatMap(([type, path]) => (path === undefined ? [] : [{ type, path }]));
  const pid =
    pidNamespace === 'host'
      ? []
      : [pidNamespace === 'own' ? { type: 'pid' } : { type: 'pid', path: pidNamespace }];
  // A user namespace is refused the host's view of cgroups.
  const seesAll = config.security.isPrivileged && namespaces['user'] === undefined;
  const cgroup = seesAll ? [] : [{ type: 'cgroup' }];
  return [{ type: 'mount' }, ...pid, ...joined, ...cgroup];
}

/** As containerd has them; a mount of the container's own at the same place wins. */
function defaultMounts(facts: SpecFacts): readonly unknown[] {
  const own = facts.mounts;
  const { security } = facts.config;
  const access = security.isPrivileged ? 'rw' : 'ro';
  const guarded = ['nosuid', 'noexec', 'nodev'];
  const mounts = [
    { destination: '/proc', type: 'proc', source: 'proc', options: guarded },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    sharedMemory(facts.namespaces),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: guarded },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...guarded, access] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...guarded, 'relatime', access],
    },
  ];
  const taken = new Set(own.map(({ destination }) => destination));
  return mounts.filter(({ destination }) => !taken.has(destination));
}

/** What the sandbox shares; the host's with its IPC namespace. */
function sharedMemory(namespaces: Readonly<Record<string, string>>) {
  const source = namespaces['ipc'] === undefined ? '/dev/shm' : namespaces['shm'];
  const guarded = ['nosuid', 'noexec', 'nodev'];
  if (source !== undefined) {
    return { destination: '/dev/shm', type: 'bind', source, options: ['rbind', ...guarded] };
  }
  // A sandbox of an earlier version has none to share.
  const options = [...guarded, 'mode=1777', `size=${SHM_SIZE}`];
  return { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options };
}

function toMount(mount: Mount, { firstId }: SpecFacts): Readonly<Record<string, unknown>> {
  const readOnly = mount.isRecursivelyReadOnly ? ['ro', 'rro'] : ['ro'];
  const access = mount.isReadOnly ? readOnly : ['rw'];
  const { destination, options = [] } = mount;
  if (mount.type === 'tmpfs') {
    return {
      destination,
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', ...options, ...access],
    };
  }
  const propagation = mount.propagation ?? 'private';
  return {
    destination,
    type: 'bind',
    source: mount.source,
    // Not of the OCI specification; another runtime mounts the source as it finds it. Sync with runtime/mounts.c.
    ...(mount.sourceRoot === undefined ? {} : { sourceRoot: mount.sourceRoot }),
    options: [
      'rbind',
      propagation === 'private' ? 'rprivate' : propagation,
      // Files belong inside to whom they belong outside; without, to nobody.
      ...(firstId === undefined ? [] : ['idmap']),
      ...options,
      ...access,
    ],
  };
}

/** Mounts can be passed on only as far as the root itself passes them on. */
function rootPropagation(mounts: readonly Mount[]): string | undefined {
  if (mounts.some(({ propagation }) => propagation === 'rshared')) return 'rshared';
  return mounts.some(({ propagation }) => propagation === 'rslave') ? 'rslave' : undefined;
}
