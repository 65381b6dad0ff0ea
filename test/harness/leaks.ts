/** What a run may leave on the machine: processes, mounts, namespaces, cgroups, interfaces, nftables. */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** One line each, the same line again while it stays: compare the lists before and after. */
export function leaks(): string[] {
  return [...processes(), ...mounts(), ...cgroups(), ...network()];
}

function processes(): string[] {
  const found: string[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (/mini-runtime|dist\/mini|unpacked\/\w+\/mini|cmd\/main\.ts/.test(command))
        found.push(`process ${entry} ${command}`);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function mounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => /mini/.test(line))
    .map((line) => `mount ${line}`);
}

function cgroups(): string[] {
  const found: string[] = [];
  const visit = (path: string, depth: number) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      if (entry.name.includes('mini')) found.push(`cgroup ${path}/${entry.name}`);
      else if (depth < 2) visit(`${path}/${entry.name}`, depth + 1);
    }
  };
  visit('/sys/fs/cgroup', 0);
  return found;
}

function network(): string[] {
  const text = (command: string, ...args: string[]) => {
    try {
      return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return ''; // The program is not on this machine, so nothing of it can be left.
    }
  };
  const lines = (kind: string, output: string) =>
    output
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => `${kind} ${line.trim()}`);
  return [
    ...lines('namespace', text('ip', 'netns', 'list')).filter((line) => line.includes('mini')),
    ...lines('interface', text('ip', '-o', '-br', 'link')),
    ...lines('route', text('ip', 'route')),
    ...lines('nftables', text('nft', 'list', 'tables')),
  ];
}
