/** What the helper is given to run a container: its specification, its root and its log. */

import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CreateSpec } from '../runtime/runtime.ts';
import { givenDevices, type HostDevice, hostDevices } from './devices.ts';
import { EngineError, type Mount, type SandboxConfig } from './engine.ts';
import type { ContainerRecord } from './records.ts';
import type { Joinable } from './sandboxes.ts';
import { seccompOf } from './seccomp.ts';
import { toSpec } from './spec.ts';

export interface LogLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
}

export interface LaunchFacts {
  readonly record: ContainerRecord;
  readonly directory: string;
  readonly sandbox: Joinable;
  /** Process id of the container whose pid namespace it joins. */
  readonly peerPid: number | undefined;
  readonly logLimits: LogLimits;
}

/** Files that every container has, unless a mount gives another. */
const GIVEN_FILES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'] as const;
const HOST_RESOLV_CONF = '/etc/resolv.conf';

/** Directories of a container below its own: the overlay's upper and work, and the files it is given. */
export async function makeDirectories(
  directory: string,
  facts: {
    readonly mounts: readonly Mount[];
    readonly sandbox: SandboxConfig & { readonly firstId?: number };
    readonly ip: string | undefined;
    readonly logPath: string | undefined;
  },
): Promise<void> {
  const upper = join(directory, 'upper');
  const given = missingFiles(facts.mounts);
  await Promise.all([
    // The root directory of the container has the mode of this one, whatever the umask here.
    makeUpper(upper, facts.sandbox.firstId ?? 0),
    mkdir(join(directory, 'work')),
    facts.logPath === undefined ? undefined : mkdir(dirname(facts.logPath), { recursive: true }),
    given.length === 0 ? undefined : writeFiles(join(directory, 'files'), { given, ...facts }),
  ]);
}

async function makeUpper(upper: string, owner: number): Promise<void> {
  await mkdir(upper);
  await chmod(upper, 0o755);
  await chown(upper, owner, owner);
}

/** Everything for Runtime.run. */
export async function launchSpec(facts: LaunchFacts): Promise<CreateSpec> {
  const { record, directory, sandbox, logLimits } = facts;
  const { config, layers } = record;
  const given = await givenDevices(config.devices);
  const all: readonly HostDevice[] = config.security.isPrivileged ? await hostDevices() : [];
  const { runtime } = sandbox;
  return {
    id: config.id,
    bundle: directory,
    config: toSpec({
      config,
      process: record.process,
      ...sandbox,
      pidNamespace: pidNamespace(facts),
      devices: all.filter(({ path }) => !given.some((device) => device.path === path)),
      given,
      mounts: [...givenMounts(directory, config.mounts), ...config.mounts],
      seccomp: await seccompOf(config.security),
    }),
    overlay: { lower: layers, upper: join(directory, 'upper'), work: join(directory, 'work') },
    ...(runtime && { runtime: { path: runtime.path, args: runtime.args, root: runtime.root } }),
    ...(config.logPath === undefined ? {} : { log: { path: config.logPath, ...logLimits } }),
    hasTerminal: config.hasTerminal,
    hasStdin: config.hasStdin,
    isStdinOnce: config.isStdinOnce,
  };
}

function pidNamespace({ record, peerPid, sandbox }: LaunchFacts): string {
  const { isHostPid, pidOfContainer } = record.config.security;
  if (pidOfContainer === undefined)
    return isHostPid ? 'host' : (sandbox.namespaces['pid'] ?? 'own');
  if (peerPid === undefined) {
    throw new EngineError(
      'Conflict',
      `container ${pidOfContainer}, whose pid namespace is to be shared, does not run`,
    );
  }
  return `/proc/${peerPid}/ns/pid`;
}

function missingFiles(mounts: readonly Mount[]): readonly (typeof GIVEN_FILES)[number][] {
  const taken = new Set(mounts.map(({ destination }) => destination));
  return taken.has('/etc') ? [] : GIVEN_FILES.filter((path) => !taken.has(path));
}

function givenMounts(directory: string, mounts: readonly Mount[]): readonly Mount[] {
  return missingFiles(mounts).map((destination) => ({
    source: join(directory, 'files', destination.slice('/etc/'.length)),
    destination,
    isReadOnly: false,
  }));
}

async function writeFiles(
  directory: string,
  facts: {
    readonly given: readonly (typeof GIVEN_FILES)[number][];
    readonly sandbox: SandboxConfig;
    readonly ip: string | undefined;
  },
): Promise<void> {
  await mkdir(directory);
  const { hostname } = facts.sandbox;
  const own = facts.ip === undefined ? '' : `${facts.ip}\t${hostname}\n`;
  const texts: Readonly<Record<(typeof GIVEN_FILES)[number], () => Promise<string>>> = {
    '/etc/hostname': async () => `${hostname}\n`,
    '/etc/hosts': async () => `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n${own}`,
    '/etc/resolv.conf': hostResolvConf,
  };
  await Promise.all(
    facts.given.map(async (path) => {
      const file = join(directory, path.slice('/etc/'.length));
      await writeFile(file, await texts[path](), { mode: 0o644 });
      await chmod(file, 0o644);
    }),
  );
}

/** A host without one has no name server to tell. */
async function hostResolvConf(): Promise<string> {
  try {
    return await readFile(HOST_RESOLV_CONF, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
