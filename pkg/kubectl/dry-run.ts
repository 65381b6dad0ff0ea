/** The --dry-run flag: nothing is sent (client), or the server is told not to keep what it answers (server). */

import type { Arguments } from './arguments.ts';
import type { FlagSpec } from './flag.ts';

export const DRY_RUN_FLAG: FlagSpec = {
  name: 'dry-run',
  type: 'text',
  default: 'none',
  bare: 'client',
  choices: ['none', 'client', 'server'],
  help: 'If client, only print the object that would be sent. If server, submit the request without persisting the resource.',
};

/** Query parameters of the flag. */
export function dryRunQuery(args: Arguments): Record<string, string> {
  return modeOf(args) === 'server' ? { dryRun: 'All' } : {};
}

export function isClientDryRun(args: Arguments): boolean {
  return modeOf(args) === 'client';
}

/** What kubectl puts after a message. */
export function dryRunSuffix(args: Arguments): string {
  const mode = modeOf(args);
  if (mode === 'client') return ' (dry run)';
  return mode === 'server' ? ' (server dry run)' : '';
}

/** Verbs without the flag always do what they say. */
function modeOf(args: Arguments): string {
  return args.knows(DRY_RUN_FLAG.name) ? args.text(DRY_RUN_FLAG.name) : 'none';
}
