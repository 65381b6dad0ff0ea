/** What tests may leave on the machine: processes, mounts, namespaces, cgroups, interfaces, routes, nftables. */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What carries one of these marks (names, directories), one line each: processes, mounts, namespaces, cgroups. */
export function leaksOf(marks: readonly string[]): string[] {
  const all = [
    ...processes(),
    ...mounts(),
    ...cgroups(),
    ...attachedFiles().map((file) => `loop device of ${file}`),
    ...lines('namespace', text('ip', 'netns', 'list')),
  ];
  return all.filter((leak) => marks.some((mark) => leak.includes(mark)));
}

/** The network of the machine itself, which no test host may change: compare before and after. */
export function machineNetwork(): string[] {
  return [
    ...lines('interface', text('ip', '-o', '-br', 'link')),
    ...lines('route', text('ip', 'route')),
    ...lines('nftables', text('nft', 'list', 'tables')),
  ];
}

/** Files behind the loop devices of this machine. */
export function attachedFiles(): string[] {
  return loopDevices().map(({ file }) => file);
}

/** Loop devices of files whose path contains this, e.g. '/dev/loop3'. */
export function devicesOf(part: string): string[] {
  return loopDevices()
    .filter(({ file }) => file.includes(part))
    .map(({ device }) => device);
}

function loopDevices(): { readonly device: string; readonly file: string }[] {
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .flatMap((name) => {
      try {
        const file = readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim();
        return [{ device: `/dev/${name}`, file }];
      } catch {
        return []; // It has none.
      }
    });
}

function processes(): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(
      (pid) =>
        `process ${pid} ${readProc(pid, 'cmdline').replaceAll('\0', ' ').trim()} in ${groupsOf(pid)}`,
    );
}

/** The groups of a process, of which a test host's carry its name. */
function groupsOf(pid: string): string {
  return [
    ...new Set([...readProc(pid, 'cgroup').matchAll(/:([^:\n]*)$/gm)].map((match) => match[1])),
  ].join(' ');
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // It ended meanwhile.
  }
}

function mounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => `mount ${line}`);
}

function cgroups(): string[] {
  const found: string[] = [];
  const visit = (path: string, depth: number) => {
    for (const entry of directoriesIn(path)) {
      if (entry.includes('mini')) found.push(`cgroup ${path}/${entry}`);
      else if (depth < 2) visit(`${path}/${entry}`, depth + 1);
    }
  };
  visit('/sys/fs/cgroup', 0);
  return found;
}

/** Their names; none when the directory has gone meanwhile: other tests make and remove groups. */
function directoriesIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

function text(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return ''; // The program is not on this machine, so nothing of it can be left.
  }
}

function lines(kind: string, output: string): string[] {
  return output
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => `${kind} ${line.trim()}`);
}
