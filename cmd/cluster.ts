/** The cluster that a command talks to: --kubeconfig, KUBECONFIG, the server's own file, or ~/.kube/config. */

import { existsSync } from 'node:fs';
import type { Client } from '../pkg/client/client.ts';
import { createClient } from '../pkg/client/create-client.ts';
import { httpTransport } from '../pkg/client/http-transport.ts';
import { type Kubeconfig, KubeconfigError, loadKubeconfig } from '../pkg/client/kubeconfig.ts';
import { type Flag, type Flags, UserError } from './command.ts';
import { DEFAULT_KUBECONFIG } from './server-flags.ts';

export const KUBECONFIG_FLAG: Flag = {
  name: 'kubeconfig',
  value: 'file',
  help: `kubeconfig; when absent KUBECONFIG, else ${DEFAULT_KUBECONFIG}, else ~/.kube/config`,
  isLocal: true,
};

export interface Cluster {
  readonly client: Client;
  readonly config: Kubeconfig;
  close(): void;
}

/** Opens the cluster; nothing is sent yet. */
export function openCluster(path: string | undefined): Cluster {
  const config = choose(path);
  const transport = httpTransport(config.transport);
  return { client: createClient(transport), config, close: () => transport.close() };
}

function choose(path: string | undefined): Kubeconfig {
  const isOwnThere = !process.env['KUBECONFIG'] && existsSync(DEFAULT_KUBECONFIG);
  const chosen = path ?? (isOwnThere ? DEFAULT_KUBECONFIG : undefined);
  if (chosen !== undefined && !existsSync(chosen))
    throw new UserError(`kubeconfig ${chosen} does not exist`);
  try {
    return loadKubeconfig(chosen === undefined ? {} : { paths: [chosen] });
  } catch (error) {
    if (!(error instanceof KubeconfigError)) throw error;
    throw new UserError(
      `${error.message}; run this on the server or name a file with --kubeconfig`,
      { cause: error.cause },
    );
  }
}

/** Runs `work` with the cluster of the command's flags and closes it. */
export async function withCluster(
  flags: Flags,
  work: (cluster: Cluster) => Promise<number>,
): Promise<number> {
  const cluster = openCluster(flags.optional('kubeconfig'));
  try {
    return await work(cluster);
  } finally {
    cluster.close();
  }
}
