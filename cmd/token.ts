/** `mini token …`: bootstrap tokens, with which nodes join; each may expire and be taken back. */

import { isReason } from '../pkg/api/errors.ts';
import type { ConfigMap, Secret } from '../pkg/api/generated/types.ts';
import { newBootstrapSecret } from '../pkg/apiserver/auth/bootstrap-tokens.ts';
import { caHash, formatToken } from '../pkg/pki/token.ts';
import { type Cluster, KUBECONFIG_FLAG, withCluster } from './cluster.ts';
import { type Command, type Flags, UserError } from './command.ts';
import { durationMs, isDuration } from './durations.ts';

const NAMESPACE = 'kube-system';
const PREFIX = 'bootstrap-token-';

export const tokenCommand: Command = {
  name: 'token',
  group: 'Administration:',
  summary: 'Manage tokens with which nodes join',
  commands: [
    {
      name: 'create',
      summary: 'Create a token and print it',
      flags: [
        KUBECONFIG_FLAG,
        {
          name: 'ttl',
          value: 'duration',
          help: 'how long it is good, such as 30m, 24h, 7d; 0 = for ever',
          default: '24h',
          isLocal: true,
          check: isDuration,
        },
        { name: 'description', value: 'text', help: 'what it is for', isLocal: true },
      ],
      examples: '  mini token create --ttl 1h --description "rack 2"',
      run: (flags) => withCluster(flags, (cluster) => create(cluster, flags)),
    },
    {
      name: 'list',
      summary: 'List tokens, without their secrets',
      flags: [KUBECONFIG_FLAG],
      run: (flags) => withCluster(flags, list),
    },
    {
      name: 'delete',
      summary: 'Take tokens back; nodes that joined with them stay',
      arguments: [{ name: '<id...>', help: 'as `mini token list` shows it' }],
      flags: [KUBECONFIG_FLAG],
      run: (flags, ids) => withCluster(flags, (cluster) => remove(cluster, ids)),
    },
  ],
};

async function create({ client }: Cluster, flags: Flags): Promise<number> {
  const ttlMs = durationMs(flags.text('ttl')) ?? 0;
  const description = flags.optional('description');
  const { id, secret, object } = newBootstrapSecret({
    now: Date.now(),
    ...(ttlMs > 0 ? { ttlMs } : {}),
    ...(description ? { description } : {}),
  });
  await client.create<Secret>('secrets', object);
  const root = await client.get<ConfigMap>('configmaps', {
    namespace: NAMESPACE,
    name: 'kube-root-ca.crt',
  });
  const ca = root.data?.['ca.crt'] ?? '';
  process.stdout.write(
    `${formatToken({ caHash: caHash(ca), secret: { kind: 'bootstrap', id, secret } })}\n`,
  );
  return 0;
}

async function list({ client }: Cluster): Promise<number> {
  const { items } = await client.list<Secret>('secrets', {
    namespace: NAMESPACE,
    fieldSelector: 'type=bootstrap.kubernetes.io/token',
  });
  const rows = items.map(({ data, metadata }) => {
    const read = (key: string) => Buffer.from(data?.[key] ?? '', 'base64').toString();
    return [
      read('token-id') || metadata.name.slice(PREFIX.length),
      read('expiration') || '<never>',
      read('description') || '<none>',
    ];
  });
  for (const [id = '', expires = '', about = ''] of [['ID', 'EXPIRES', 'DESCRIPTION'], ...rows]) {
    process.stdout.write(`${id.padEnd(8)}${expires.padEnd(23)}${about}\n`);
  }
  return 0;
}

async function remove({ client }: Cluster, ids: readonly string[]): Promise<number> {
  for (const id of ids) {
    const ref = { namespace: NAMESPACE, name: `${PREFIX}${id}` };
    await client.get('secrets', ref).catch((error: unknown) => {
      throw isReason(error, 'NotFound') ? new UserError(`There is no token ${id}`) : error;
    });
    await client.remove('secrets', ref);
    process.stdout.write(`Deleted token ${id}\n`);
  }
  return 0;
}
