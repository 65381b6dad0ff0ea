/** The seccomp profile of a container, in the OCI specification's form. The default one is data: seccomp-default.json. */

import { readFile } from 'node:fs/promises';
import { capabilitiesOf } from './capabilities.ts';
import { EngineError, type Security } from './engine.ts';

type Profile = Readonly<Record<string, unknown>>;

const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};
const EPERM = 1;
const ADMIN = 'CAP_SYS_ADMIN';

/** undefined: every system call is allowed. Rejects with EngineError StartFailed when a file holds no profile. */
export async function seccompOf(security: Security): Promise<Profile | undefined> {
  const { seccomp = 'default', isPrivileged } = security;
  if (isPrivileged || seccomp === 'unconfined') return undefined;
  return seccomp === 'default'
    ? defaultProfile(capabilitiesOf(security))
    : readProfile(seccomp.path);
}

/** What a container with these capabilities may call. */
async function defaultProfile(capabilities: readonly string[]): Promise<Profile> {
  const { default: data } = await import('./seccomp-default.json', { with: { type: 'json' } });
  const byCapability: Readonly<Record<string, readonly string[]>> = data.capability;
  const byArchitecture: Readonly<Record<string, readonly string[]>> = data.architecture;
  const names = [
    ...data.always,
    ...(byArchitecture[process.arch] ?? []),
    ...capabilities.flatMap((name) => byCapability[name] ?? []),
  ];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[process.arch] ?? [],
    syscalls: [
      { names: [...new Set(names)], action: 'SCMP_ACT_ALLOW' },
      ...data.rules,
      ...(capabilities.includes(ADMIN) ? [] : data.withoutAdmin),
    ],
  };
}

/** Rejects with EngineError StartFailed; the message names the file. */
async function readProfile(path: string): Promise<Profile> {
  try {
    const profile: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof profile === 'object' && profile !== null && 'defaultAction' in profile) {
      return { ...profile };
    }
    throw new Error('it has no defaultAction');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EngineError('StartFailed', `cannot load seccomp profile "${path}": ${why}`, error);
  }
}
