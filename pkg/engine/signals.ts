/** Signals by name or number, as Docker and Kubernetes write them. */

import { constants } from 'node:os';

const SIGRTMIN = 34;
const SIGRTMAX = 64;
const NAMES: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));

/** The number of `15`, `TERM`, `SIGTERM` or `RTMIN+3`; undefined for what is no signal. */
export function signalNumber(signal: string | number): number | undefined {
  const text = String(signal).toUpperCase();
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= SIGRTMAX ? number : undefined;
  }
  const name = text.startsWith('SIG') ? text : `SIG${text}`;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime === null) return NAMES.get(name);
  const [, end, sign = '+', offset = '0'] = realTime;
  const number = (end === 'MIN' ? SIGRTMIN : SIGRTMAX) + (sign === '+' ? 1 : -1) * Number(offset);
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

const GONE = ['ESRCH', 'ENOENT'];

/** Whether a signal could not be sent because its process has ended. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && GONE.includes(String(error.code));
}
