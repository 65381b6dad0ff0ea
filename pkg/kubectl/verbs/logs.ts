/** `kubectl logs`: the output of containers, of one pod or of all that a selector chooses. */

import { StatusError } from '../../api/errors.ts';
import type { Pod } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { durationMs } from '../durations.ts';
import { KubectlError } from '../kubectl-error.ts';
import { containerOf, podOf } from '../pods.ts';
import { SELECTOR_FLAG } from '../targets.ts';
import type { Call, Io, Verb } from '../verb.ts';

/** Lines of each container when a selector chooses the pods. */
const SELECTED_TAIL = '10';

export const logs: Verb = {
  name: 'logs',
  summary: 'Print the logs for a container in a pod.',
  usage: 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [flags]',
  examples: [
    'mini kubectl logs web-1 -f',
    'mini kubectl logs deployment/web --tail=20',
    'mini kubectl logs -l app=web --prefix',
  ],
  flags: [
    SELECTOR_FLAG,
    { name: 'follow', short: 'f', type: 'switch', help: 'Specify if the logs should be streamed.' },
    {
      name: 'previous',
      short: 'p',
      type: 'switch',
      help: 'Print the logs for the previous instance of the container.',
    },
    { name: 'container', short: 'c', type: 'text', help: 'Print the logs of this container.' },
    { name: 'all-containers', type: 'switch', help: "Get all containers' logs in the pod(s)." },
    { name: 'tail', type: 'number', default: '-1', help: 'Lines of recent log file to display.' },
    { name: 'since', type: 'text', help: 'Only return logs newer than a duration like 5s or 3h.' },
    { name: 'since-time', type: 'text', help: 'Only return logs after a date (RFC3339).' },
    { name: 'limit-bytes', type: 'number', help: 'Maximum bytes of logs to return.' },
    { name: 'timestamps', type: 'switch', help: 'Include timestamps on each line.' },
    { name: 'prefix', type: 'switch', help: 'Prefix each log line with pod and container name.' },
    {
      name: 'max-log-requests',
      type: 'number',
      default: '5',
      help: 'Maximum number of concurrent logs to follow when using by a selector.',
    },
    { name: 'ignore-errors', type: 'switch', help: 'Go on with the others when one log fails.' },
  ],
  run: printLogs,
};

interface Source {
  readonly pod: Pod;
  readonly container: string;
}

async function printLogs({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const sources = await sourcesOf({ args, io, api: () => api });
  const query = queryOf(args);
  const isFollowed = args.isSet('follow');
  const most = args.number('max-log-requests') ?? 0;
  if (isFollowed && sources.length > most)
    throw new KubectlError(
      `you are attempting to follow ${sources.length} log streams, but maximum allowed concurrency is ${most}, use --max-log-requests to increase the limit`,
    );
  const printing = { api, io, query, hasPrefix: args.isSet('prefix') };
  const print = (source: Source) => tolerant(args, io, () => printOne(printing, source));
  if (isFollowed) await Promise.all(sources.map(print));
  else for (const source of sources) await print(source);
  return 0;
}

async function tolerant(args: Arguments, io: Io, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!args.isSet('ignore-errors') || !(error instanceof StatusError)) throw error;
    io.stderr.write(`error: ${error.message}\n`);
  }
}

async function sourcesOf({ args, io, api: open }: Call): Promise<readonly Source[]> {
  const api = open();
  const [name, container = args.optional('container'), ...others] = args.names;
  const labelSelector = args.optional('selector');
  if (labelSelector) {
    if (name !== undefined) throw new KubectlError('only a selector (-l) or a POD name is allowed');
    const { items } = await api.client.list<Pod>('pods', {
      namespace: api.namespace,
      labelSelector,
    });
    if (items.length === 0) io.stderr.write(`No resources found in ${api.namespace} namespace.\n`);
    return items.flatMap((pod) => sourcesOfPod(pod, io, { args, container }));
  }
  if (name === undefined || others.length > 0)
    throw new KubectlError(
      "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'mini kubectl logs -h' for help and examples",
    );
  return sourcesOfPod(await podOf(api, name, (text) => io.stderr.write(text)), io, {
    args,
    container,
  });
}

function sourcesOfPod(
  pod: Pod,
  io: Io,
  { args, container }: { readonly args: Arguments; readonly container: string | undefined },
): readonly Source[] {
  if (!args.isSet('all-containers'))
    return [{ pod, container: containerOf(pod, container, (text) => io.stderr.write(text)) }];
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
  return [...initContainers, ...containers, ...ephemeralContainers].map(({ name }) => ({
    pod,
    container: name,
  }));
}

function queryOf(args: Arguments): Record<string, string> {
  const tail = args.has('tail') || !args.has('selector') ? args.text('tail') : SELECTED_TAIL;
  const since = args.optional('since');
  if (since && args.has('since-time'))
    throw new KubectlError('at most one of `sinceTime` or `sinceSeconds` may be specified');
  return {
    ...(args.isSet('follow') ? { follow: 'true' } : {}),
    ...(args.isSet('previous') ? { previous: 'true' } : {}),
    ...(args.isSet('timestamps') ? { timestamps: 'true' } : {}),
    ...(Number(tail) >= 0 ? { tailLines: tail } : {}),
    ...(since ? { sinceSeconds: String(Math.ceil(durationMs(since) / 1000)) } : {}),
    ...(args.has('since-time') ? { sinceTime: args.text('since-time') } : {}),
    ...(args.has('limit-bytes') ? { limitBytes: args.text('limit-bytes') } : {}),
  };
}

interface Printing {
  readonly api: Api;
  readonly io: Io;
  readonly query: Readonly<Record<string, string>>;
  readonly hasPrefix: boolean;
}

async function printOne(
  { api, io, query, hasPrefix }: Printing,
  { pod, container }: Source,
): Promise<void> {
  const { name, namespace = api.namespace } = pod.metadata;
  const chunks = await api.transport.stream({
    method: 'GET',
    path: `/api/v1/namespaces/${namespace}/pods/${name}/log`,
    query: { ...query, container },
    accept: 'application/json, */*',
  });
  const text = hasPrefix ? prefixed(chunks, `[pod/${name}/${container}] `) : chunks;
  for await (const chunk of text) {
    if (!io.stdout.write(chunk)) await new Promise((next) => io.stdout.once('drain', next));
  }
}

async function* prefixed(chunks: AsyncIterable<Buffer>, prefix: string): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(10) + 1;
    rest = bytes.subarray(end);
    if (end > 0) yield withPrefix(bytes.subarray(0, end), prefix);
  }
  if (rest.length > 0) yield withPrefix(rest, prefix);
}

/** `lines` are whole lines, but for the last of a log. */
function withPrefix(lines: Buffer, prefix: string): Buffer {
  const text = lines.toString('utf8');
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  const end = text.length > body.length ? '\n' : '';
  return Buffer.from(prefix + body.replaceAll('\n', `\n${prefix}`) + end);
}
