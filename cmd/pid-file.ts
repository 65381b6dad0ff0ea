/**
 * `<dir>/<role>.pid`: which process runs as server or agent with this directory. Holds pid and start time, so that a pid
 * that was used again is not mistaken for it. One in the run directory, for `mini up` and `mini down`, and one in the
 * data directory, so that no two minis share their data.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from './command.ts';

export type Role = 'server' | 'agent';

export interface RunningProcess {
  readonly pid: number;
  isAlive(): boolean;
}

/** Field 22 of /proc/<pid>/stat: ticks since boot at which the process started. Source: proc(5). */
const START_TIME_FIELD = 22;

/** Says that this process runs as `role` with these directories; throws when another does. The result takes it back. */
export function claim(role: Role, dirs: Readonly<Record<string, string>>): () => void {
  const claimed: string[] = [];
  const release = () => {
    for (const path of claimed) rmSync(path, { force: true });
  };
  try {
    for (const [flag, dir] of Object.entries(dirs)) claimed.push(claimOne(role, flag, dir));
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

function claimOne(role: Role, flag: string, dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const path = pathOf(dir, role);
  const running = readPidFile(dir, role);
  if (running && running.pid !== process.pid)
    throw new UserError(
      `Another mini ${role} (pid ${running.pid}) uses ${dir}: stop it (mini down), or give this one its own ${flag}`,
    );
  rmSync(path, { force: true });
  try {
    writeFileSync(path, `${process.pid} ${startTime(process.pid)}\n`, { flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    throw new UserError(`Another mini ${role} starts with ${dir} right now`);
  }
  return path;
}

/** The process that runs as `role`, or undefined when none does. */
export function readPidFile(dir: string, role: Role): RunningProcess | undefined {
  let text: string;
  try {
    text = readFileSync(pathOf(dir, role), 'utf8');
  } catch {
    return undefined;
  }
  const [pid = Number.NaN, started] = text.trim().split(' ').map(Number);
  const isAlive = () => Number.isInteger(pid) && startTime(pid) === started;
  return isAlive() ? { pid, isAlive } : undefined;
}

function pathOf(dir: string, role: Role): string {
  return join(dir, `${role}.pid`);
}

function startTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, in parentheses, may hold spaces.
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(afterName[START_TIME_FIELD - 3]);
  } catch {
    return undefined;
  }
}
