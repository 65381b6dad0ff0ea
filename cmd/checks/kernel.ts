/** Kernel version and features. A feature may be built in, loaded, or a module that loads itself when it is used. */

import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type SecurityModules, securityModules } from '../../pkg/agent/pod/security-modules.ts';
import type { Finding, Level } from './finding.ts';

/** openat2 (5.6), with which images are unpacked, is the newest call that nothing can replace. */
const NEEDED_KERNEL = [5, 6];
const NAMESPACES = ['mnt', 'pid', 'net', 'uts', 'ipc', 'cgroup'];

interface Feature {
  readonly subject: string;
  /** Kernel configuration that builds it. */
  readonly option: string;
  readonly module: string;
  readonly without: Level;
  readonly means: string;
}

const FEATURES: readonly Feature[] = [
  {
    subject: 'overlayfs',
    option: 'CONFIG_OVERLAY_FS',
    module: 'overlay',
    without: 'missing',
    means: 'containers have no root file system without it',
  },
  {
    subject: 'bridge',
    option: 'CONFIG_BRIDGE',
    module: 'bridge',
    without: 'missing',
    means: 'pods have no network without it',
  },
  {
    subject: 'veth',
    option: 'CONFIG_VETH',
    module: 'veth',
    without: 'missing',
    means: 'pods have no network without it',
  },
  ...nftablesParts({
    nf_tables: 'CONFIG_NF_TABLES',
    nft_chain_nat: 'CONFIG_NFT_NAT',
    nft_masq: 'CONFIG_NFT_MASQ',
    nft_fib_inet: 'CONFIG_NFT_FIB_INET',
    nft_ct: 'CONFIG_NFT_CT',
  }),
];

/** What the table needs; see pkg/network/rules.ts. */
function nftablesParts(options: Readonly<Record<string, string>>): readonly Feature[] {
  return Object.entries(options).map(([module, option]) => ({
    subject: module,
    option,
    module,
    without: 'degraded',
    means: 'pods have no ports on the host and do not reach other networks',
  }));
}

/** How the kernel was built, as far as it can be read. */
export interface KernelBuild {
  /** /proc/config.gz or /boot/config-<release>. */
  readonly config?: string;
  /** modules.builtin and modules.dep. */
  readonly modules?: string;
  isLoaded(module: string): boolean;
}

/** What containers need. */
export function kernelFindings(): Finding[] {
  const build = readBuild();
  return [
    versionFinding(release()),
    namespaceFinding(),
    ...FEATURES.map((feature) => featureFinding(feature, build)),
    modulesFinding(securityModules()),
  ];
}

/** Few hosts have both, and most pods ask for neither: never a fault. */
export function modulesFinding({ hasAppArmor, hasSeLinux }: SecurityModules): Finding {
  const names = [...(hasAppArmor ? ['AppArmor'] : []), ...(hasSeLinux ? ['SELinux'] : [])];
  const none =
    'neither AppArmor nor SELinux: a pod that asks for a profile or a label does not run';
  const text = names.length > 0 ? names.join(', ') : none;
  return { level: 'ok', subject: 'security modules', text };
}

/** `text` as uname prints it: 6.1.0-18-amd64. */
export function versionFinding(text: string): Finding {
  const [major = 0, minor = 0] = text.split(/[.-]/).map(Number);
  const [neededMajor = 0, neededMinor = 0] = NEEDED_KERNEL;
  const isNew = major > neededMajor || (major === neededMajor && minor >= neededMinor);
  if (isNew) return { level: 'ok', subject: 'kernel', text };
  return {
    level: 'missing',
    subject: 'kernel',
    text: `${text} is older than ${NEEDED_KERNEL.join('.')}`,
    mend: 'boot a newer kernel',
  };
}

/** Exported for tests, which bring a build of their own. */
export function featureFinding(feature: Feature, build: KernelBuild): Finding {
  const { subject, option, module } = feature;
  if (build.isLoaded(module)) return { level: 'ok', subject, text: 'there' };
  const isModule = new RegExp(`/${module}\\.ko`).test(build.modules ?? '');
  if (isModule) return { level: 'ok', subject, text: 'a module' };
  const set = new RegExp(`^${option}=([ym])$`, 'm').exec(build.config ?? '')?.[1];
  if (set === 'y') return { level: 'ok', subject, text: 'built in' };
  if (build.config === undefined && build.modules === undefined)
    return { level: 'ok', subject, text: 'not known: the kernel does not show how it was built' };
  return {
    level: feature.without,
    subject,
    text: `not in this kernel: ${feature.means}`,
    mend: `boot a kernel with ${option}, or install its modules (modprobe ${module})`,
  };
}

function namespaceFinding(): Finding {
  const absent = NAMESPACES.filter((name) => !existsSync(`/proc/self/ns/${name}`));
  if (absent.length === 0)
    return { level: 'ok', subject: 'namespaces', text: NAMESPACES.join(' ') };
  return {
    level: 'missing',
    subject: 'namespaces',
    text: `without ${absent.join(', ')} containers cannot be kept apart`,
    mend: 'boot a kernel with CONFIG_NAMESPACES and all kinds below it',
  };
}

function readBuild(): KernelBuild {
  const version = release();
  const modules = readAll(
    ['modules.builtin', 'modules.dep'].map((name) => join('/lib/modules', version, name)),
  );
  const config = readConfig(version);
  return {
    ...(config === undefined ? {} : { config }),
    ...(modules === undefined ? {} : { modules }),
    isLoaded: (module) => existsSync(`/sys/module/${module}`),
  };
}

function readConfig(version: string): string | undefined {
  if (existsSync('/proc/config.gz')) return gunzipSync(readFileSync('/proc/config.gz')).toString();
  return readAll([`/boot/config-${version}`]);
}

function readAll(paths: readonly string[]): string | undefined {
  const found = paths.filter((path) => existsSync(path));
  return found.length > 0 ? found.map((path) => readFileSync(path, 'utf8')).join('\n') : undefined;
}
