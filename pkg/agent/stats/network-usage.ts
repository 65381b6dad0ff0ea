/** Bytes and errors of the interfaces in a process's network namespace. */

import { readFileSync } from 'node:fs';

export interface InterfaceUsage {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** All but the loopback; empty when the process is gone. 'self' is this process. */
export function networkUsage(pid: number | 'self'): readonly InterfaceUsage[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [, name, numbers] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === 'lo') return [];
    const at = (numbers ?? '').split(/\s+/).map(Number);
    return [
      {
        name,
        rxBytes: at[0] ?? 0,
        rxPackets: at[1] ?? 0,
        rxErrors: at[2] ?? 0,
        rxDropped: at[3] ?? 0,
        txBytes: at[8] ?? 0,
        txPackets: at[9] ?? 0,
        txErrors: at[10] ?? 0,
        txDropped: at[11] ?? 0,
      },
    ];
  });
}
