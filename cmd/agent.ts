/** `mini agent`: a node that joins a server. */

import type { Command } from './command.ts';
import { isServerUrl } from './flag-checks.ts';
import { COMMON_FLAGS, NODE_FLAGS } from './server-flags.ts';

export const agentCommand: Command = {
  name: 'agent',
  summary: 'Run a node that joins a server',
  description:
    'Joins a cluster with a token and runs its pods. Needs no inbound port: one connection to the server carries all. The token is needed for the first start only.',
  group: 'Cluster:',
  flags: [
    ...COMMON_FLAGS,
    {
      name: 'server',
      short: 's',
      value: 'url',
      help: 'server to join; several for failover',
      isList: true,
      check: isServerUrl,
      group: 'Joining:',
    },
    ...NODE_FLAGS,
  ],
  examples: `  mini agent --server https://10.0.0.1:6443 --token K10…::server:…
  mini agent --server https://10.0.0.1:6443 --token-file /etc/mini/token --node-label disk=ssd`,
  async run(flags) {
    const { runAgent } = await import('./run-agent.ts');
    return runAgent(flags);
  },
};
