/** `mini check`: what of this host mini can use, what it lacks, and how to mend that. */

import type { Command } from './command.ts';
import { COMMON_FLAGS, SERVER_FLAGS } from './server-flags.ts';

const WANTED = ['bind-address', 'https-listen-port', 'runtime'];
const SHARED = ['config', 'data-dir', 'run-dir'];

export const checkCommand: Command = {
  name: 'check',
  group: 'Cluster:',
  summary: 'Check whether this host can run mini',
  description:
    'Checks kernel, cgroups, directories, clock, memory, ports and the runtimes of --runtime. Each line is ok, degraded (mini runs without it) or missing (it does not), with what that means and how to mend it. Exit code 1 when something is missing. Server and agent do the same when they start.',
  flags: [
    ...COMMON_FLAGS.filter(({ name }) => SHARED.includes(name)),
    ...SERVER_FLAGS.filter(({ name }) => WANTED.includes(name)),
  ],
  examples: '  mini check\n  mini check --data-dir /mnt/disk',
  async run(flags) {
    const { runCheck } = await import('./run-check.ts');
    return runCheck(flags);
  },
};
