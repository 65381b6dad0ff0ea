/** What `mini down` does. Each step succeeds when its work is done already. */

import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createLogger, type Level, type Logger } from '../pkg/log/log.ts';
import { removal } from '../pkg/network/rules.ts';
import { createRuntime } from '../pkg/runtime/create-runtime.ts';
import type { Runtime } from '../pkg/runtime/runtime.ts';
import { sleep, systemClock } from '../pkg/wait/clock.ts';
import { findAssets } from './assets.ts';
import { type Flags, UserError } from './command.ts';
import { type Role, readPidFile } from './pid-file.ts';

const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const CGROUPS = '/sys/fs/cgroup';

/** Stops and removes; resolves to the exit code. */
export async function runDown(flags: Flags): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new UserError('mini down ends containers and must be started as root');
  const runDir = flags.text('run-dir');
  const dataDir = flags.text('data-dir');
  const say = (text: string) => process.stdout.write(`${text}\n`);
  for (const role of ['server', 'agent'] as const)
    if (await stop(runDir, role)) say(`Stopped ${role}`);
  const log = createLogger(flags.text('log-level') as Level);
  const { helper, nft } = findAssets();
  const runtime = await createRuntime({ helper, nft, runDir, log });
  try {
    const ended = await removeContainers(runtime);
    if (ended > 0) say(`Ended ${ended} containers`);
    for (const path of volumesMounted({ runDir, dataDir })) await runtime.unmount(path);
    for (const path of disksIn(join(dataDir, 'storage'))) await runtime.detachDisk(path);
    await removeNetwork(runtime, flags.text('bridge'), log);
  } finally {
    await runtime.close();
  }
  removeRunDir(runDir);
  removeCgroups(flags.text('cgroup-root'));
  if (flags.isSet('remove-data')) {
    removeContents(dataDir);
    removeKubeconfig(flags.text('write-kubeconfig'));
    say(`Removed ${dataDir} and ${flags.text('write-kubeconfig')}`);
  }
  return 0;
}

async function removeNetwork(runtime: Runtime, bridge: string, log: Logger): Promise<void> {
  try {
    await runtime.nft(removal(bridge));
  } catch (error) {
    // A host that cannot have the table has none.
    log.debug('Could not remove the nftables table', { bridge, error });
  }
  await runtime.deleteInterface(bridge);
}

async function stop(runDir: string, role: Role): Promise<boolean> {
  const running = readPidFile(runDir, role);
  if (!running) return false;
  // SIGTERM may mean that the host goes down, for which pods are given time.
  process.kill(running.pid, 'SIGINT');
  const deadlineMs = systemClock.monotonic() + STOP_TIMEOUT_MS;
  while (running.isAlive() && systemClock.monotonic() < deadlineMs) await sleep(POLL_MS);
  if (running.isAlive()) process.kill(running.pid, 'SIGKILL');
  return true;
}

async function removeContainers(runtime: Runtime): Promise<number> {
  const containers = await runtime.list();
  await Promise.all(containers.map(({ id }) => runtime.delete(id, { isForced: true })));
  const sandboxes = await runtime.listSandboxes();
  await Promise.all(sandboxes.map(({ id }) => runtime.deleteSandbox(id)));
  return containers.length;
}

function mountPoints(): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .map((path) => path.replaceAll(/\\([0-7]{3})/g, (_, code) => octal(code)));
}

/** Spaces and the like are written as `\040`. */
function octal(code: string): string {
  return String.fromCharCode(Number.parseInt(code, 8));
}

/** Volumes of pods; those within others first. */
function volumesMounted(directories: { readonly runDir: string; readonly dataDir: string }) {
  const roots = [join(directories.runDir, 'pods'), join(directories.dataDir, 'storage')];
  return mountPoints()
    .filter((path) => roots.some((root) => path.startsWith(`${root}/`)))
    .reverse();
}

/** Block volumes of claims. */
function disksIn(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(directory, name));
}

/** The helper has mounted the directory of its pins privately. */
function removeRunDir(runDir: string): void {
  const left = mountPoints().filter((path) => path === runDir || path.startsWith(`${runDir}/`));
  if (left.length > 0) throw new UserError(`Still mounted: ${left.join(', ')}`);
  rmSync(runDir, { recursive: true, force: true });
}

/** The directory itself stays when it is a mount point. */
function removeContents(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory))
    rmSync(join(directory, entry), { recursive: true, force: true });
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EBUSY') throw error;
  }
}

/** Its directory too, when mini had it for itself. */
function removeKubeconfig(path: string): void {
  rmSync(path, { force: true });
  const directory = dirname(path);
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}

/** Removes the empty groups of pods in every hierarchy. */
function removeCgroups(root: string): void {
  const hierarchies = existsSync(join(CGROUPS, 'cgroup.controllers'))
    ? ['.']
    : readdirSync(CGROUPS);
  for (const hierarchy of hierarchies) removeEmpty(join(CGROUPS, hierarchy, root));
}

function removeEmpty(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(join(path, entry.name));
  }
  rmdirSync(path);
}
