/** `mini down`: the opposite of `mini up`, `mini server` and `mini agent` on this host. */

import type { Command } from './command.ts';
import { COMMON_FLAGS, NODE_FLAGS, SERVER_FLAGS } from './server-flags.ts';

const WANTED = [
  'config',
  'data-dir',
  'run-dir',
  'log-level',
  'bridge',
  'cgroup-root',
  'write-kubeconfig',
];

export const downCommand: Command = {
  name: 'down',
  group: 'Cluster:',
  summary: 'Stop mini on this host, and its containers',
  description:
    'Stops server and agent, ends all their containers and removes what they made at run time: namespaces, mounts, cgroups, interfaces. Data stays unless --remove-data is given.',
  flags: [
    ...[...new Set([...COMMON_FLAGS, ...SERVER_FLAGS, ...NODE_FLAGS])].filter(({ name }) =>
      WANTED.includes(name),
    ),
    {
      name: 'remove-data',
      help: 'remove the data directory and the kubeconfig too',
      isLocal: true,
    },
  ],
  examples: '  mini down\n  mini down --remove-data',
  async run(flags) {
    const { runDown } = await import('./run-down.ts');
    return runDown(flags);
  },
};
