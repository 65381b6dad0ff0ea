/** What `mini agent` does. */
import type { Flags } from './command.ts';
export function runAgent(_flags: Flags): Promise<number> {
  return Promise.reject(new Error('wait'));
}
