/** `mini up`: a server in the background with a sample on it, and how to go on. Idempotent. */

import type { Command } from './command.ts';
import { SERVER_FLAGS } from './server-flags.ts';

export const upCommand: Command = {
  name: 'up',
  group: 'Cluster:',
  summary: 'Start a server in the background with a sample and say how to use it',
  description:
    'Starts `mini server` in the background unless it runs, deploys a sample and waits until it answers. Takes the flags of `mini server`.',
  flags: SERVER_FLAGS,
  examples: '  mini up\n  mini down --remove-data',
  async run(flags) {
    const { runUp } = await import('./run-up.ts');
    return runUp(flags);
  },
};
