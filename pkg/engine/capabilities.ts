/** Capabilities of a container's process. */

import type { Security } from './engine.ts';

/** What Docker and containerd give by default. */
const DEFAULT = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

const OTHERS = [
  'AUDIT_CONTROL',
  'AUDIT_READ',
  'BLOCK_SUSPEND',
  'BPF',
  'CHECKPOINT_RESTORE',
  'DAC_READ_SEARCH',
  'IPC_LOCK',
  'IPC_OWNER',
  'LEASE',
  'LINUX_IMMUTABLE',
  'MAC_ADMIN',
  'MAC_OVERRIDE',
  'NET_ADMIN',
  'NET_BROADCAST',
  'PERFMON',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_MODULE',
  'SYS_NICE',
  'SYS_PACCT',
  'SYS_PTRACE',
  'SYS_RAWIO',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'SYSLOG',
  'WAKE_ALARM',
];
const ALL = [...DEFAULT, ...OTHERS];

/** Names with `CAP_`, sorted. Added wins over dropped unless it is `ALL` that is added. Throws on an unknown name. */
export function capabilitiesOf(security: Security): readonly string[] {
  if (security.isPrivileged) return named(new Set(ALL));
  const add = (security.addCapabilities ?? []).map(plain);
  const drop = (security.dropCapabilities ?? []).map(plain);
  const set = new Set(add.includes('ALL') ? ALL : DEFAULT);
  if (drop.includes('ALL')) set.clear();
  for (const name of drop) set.delete(name);
  for (const name of add) if (name !== 'ALL') set.add(name);
  return named(set);
}

function plain(name: string): string {
  const short = name.toUpperCase().replace(/^CAP_/, '');
  if (short !== 'ALL' && !ALL.includes(short)) throw new Error(`unknown capability "${name}"`);
  return short;
}

function named(set: ReadonlySet<string>): readonly string[] {
  return [...set].map((name) => `CAP_${name}`).sort();
}
