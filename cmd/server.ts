/** `mini server`: a whole cluster on one host, or its control plane alone with --disable-agent. */

import type { Command } from './command.ts';
import { SERVER_FLAGS } from './server-flags.ts';

export const serverCommand: Command = {
  name: 'server',
  group: 'Cluster:',
  summary: 'Run a cluster: control plane and a node',
  description:
    'Runs the Kubernetes API server, its store, controllers and scheduler, and a node that runs pods.',
  flags: SERVER_FLAGS,
  examples: `  mini server
  mini server --data-dir /srv/mini --token s3cret
  mini server --disable-agent
  mini server --config /etc/mini/config.yaml`,
  async run(flags) {
    const { runServer } = await import('./run-server.ts');
    return runServer(flags);
  },
};
