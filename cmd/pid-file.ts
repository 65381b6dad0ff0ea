/** `<run-dir>/<role>.pid`: which process runs as server or agent here. Holds pid and start time, so that a pid that was used again is not mistaken for it. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Role = 'server' | 'agent';

export interface RunningProcess {
  readonly pid: number;
  isAlive(): boolean;
}

/** Field 22 of /proc/<pid>/stat: ticks since boot at which the process started. Source: proc(5). */
const START_TIME_FIELD = 22;

/** Says that this process runs as `role`; the returned function takes it back. */
export function writePidFile(runDir: string, role: Role): () => void {
  const path = join(runDir, `${role}.pid`);
  mkdirSync(runDir, { recursive: true });
  writeFileSync(path, `${process.pid} ${startTime(process.pid)}\n`);
  return () => rmSync(path, { force: true });
}

/** The process that runs as `role`, or undefined when none does. */
export function readPidFile(runDir: string, role: Role): RunningProcess | undefined {
  let text: string;
  try {
    text = readFileSync(join(runDir, `${role}.pid`), 'utf8');
  } catch {
    return undefined;
  }
  const [pid = Number.NaN, started] = text.trim().split(' ').map(Number);
  const isAlive = () => Number.isInteger(pid) && startTime(pid) === started;
  return isAlive() ? { pid, isAlive } : undefined;
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
