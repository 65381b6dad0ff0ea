/** `kubectl run`: one pod of one container; with -i or --attach its streams, with --rm gone afterwards. */

import type { Pod } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { changePrinter } from '../changes.ts';
import { CREATE_FLAGS, exactlyOne, namespaceMeta, sendNew } from '../creating.ts';
import { durationMs } from '../durations.ts';
import type { Manifest } from '../files.ts';
import { KubectlError } from '../kubectl-error.ts';
import { untilGone, untilObject } from '../until.ts';
import type { Call, Io, Verb } from '../verb.ts';
import { attachTo } from './exec.ts';

const MANAGER = 'kubectl-run';

export const run: Verb = {
  name: 'run',
  summary: 'Create and run a particular image in a pod.',
  usage:
    'run NAME --image=image [--env="key=value"] [--port=port] [--dry-run=server|client] [--command] -- [COMMAND] [args...]',
  examples: [
    'mini kubectl run web --image=mini/hello --port=8080',
    'mini kubectl run -it --rm shell --image=busybox --restart=Never -- sh',
  ],
  flags: [
    ...CREATE_FLAGS,
    { name: 'image', type: 'text', help: 'The image for the container to run.' },
    {
      name: 'image-pull-policy',
      type: 'text',
      help: 'Always, Never or IfNotPresent; the default of the server when absent.',
    },
    { name: 'env', type: 'array', help: 'Environment variables to set, as key=value.' },
    { name: 'port', type: 'number', help: 'The port that this container exposes.' },
    {
      name: 'expose',
      type: 'switch',
      help: 'Create a ClusterIP service for the pod. Needs --port.',
    },
    { name: 'labels', short: 'l', type: 'list', help: 'Labels of the pod, as key=value.' },
    { name: 'annotations', type: 'array', help: 'Annotations of the pod, as key=value.' },
    { name: 'command', type: 'switch', help: 'Use the arguments as command, not as args.' },
    {
      name: 'restart',
      type: 'text',
      default: 'Always',
      choices: ['Always', 'OnFailure', 'Never'],
      help: 'The restart policy of the pod.',
    },
    { name: 'privileged', type: 'switch', help: 'Run the container in privileged mode.' },
    { name: 'stdin', short: 'i', type: 'switch', help: 'Keep stdin open on the container.' },
    { name: 'tty', short: 't', type: 'switch', help: 'Allocate a TTY for the container.' },
    { name: 'attach', type: 'switch', help: 'Wait for the pod to start and attach to it.' },
    { name: 'rm', type: 'switch', help: 'Delete the pod after it exits. Needs --attach or -i.' },
    { name: 'quiet', short: 'q', type: 'switch', help: 'Suppress prompt messages.' },
    {
      name: 'pod-running-timeout',
      type: 'text',
      default: '1m0s',
      help: 'How long to wait until the pod is running.',
    },
  ],
  run: runPod,
};

async function runPod(call: Call): Promise<number> {
  const { args, io, api } = call;
  const name = exactlyOne(args.names);
  const isAttached =
    args.isSet('attach') || (args.isSet('stdin') && args.text('attach') !== 'false');
  check(args, isAttached);
  const print = isAttached && !args.has('output') ? () => undefined : changePrinter(args, io);
  if (args.isSet('expose'))
    print(await sendNew(call, { object: serviceOf(call, name), manager: MANAGER }), 'created');
  print(await sendNew(call, { object: podOf(call, name), manager: MANAGER }), 'created');
  if (!isAttached || args.text('dry-run') !== 'none') return 0;
  try {
    return await attachAndWait({ api: api(), args, io }, name);
  } finally {
    if (args.isSet('rm')) await removePod({ api: api(), args, io }, name);
  }
}

function check(args: Arguments, isAttached: boolean): void {
  if (!args.has('image')) throw new KubectlError('required flag(s) "image" not set');
  if (args.isSet('tty') && !args.isSet('stdin'))
    throw new KubectlError('-i/--stdin is required for containers with -t/--tty=true');
  if (args.isSet('expose') && !args.has('port'))
    throw new KubectlError('--port must be set when exposing a service');
  if (args.isSet('rm') && !isAttached)
    throw new KubectlError('--rm should only be used for attached containers');
}

function podOf(call: Call, name: string): Manifest {
  const { args } = call;
  const words = args.command ?? [];
  const env = args.list('env').map((text) => pairOf(text, 'env'));
  const port = args.number('port');
  const policy = args.optional('image-pull-policy');
  const annotations = Object.fromEntries(
    args.list('annotations').map((text) => pairOf(text, 'annotation')),
  );
  const container = {
    ...(words.length > 0 ? { [args.isSet('command') ? 'command' : 'args']: words } : {}),
    ...(env.length > 0 ? { env: env.map(([key, value]) => ({ name: key, value })) } : {}),
    image: args.text('image'),
    ...(policy ? { imagePullPolicy: policy } : {}),
    name,
    ...(port === undefined ? {} : { ports: [{ containerPort: port }] }),
    resources: {},
    ...(args.isSet('privileged') ? { securityContext: { privileged: true } } : {}),
    // The input ends with the one client that has attached.
    ...(args.isSet('stdin') ? { stdin: true, stdinOnce: true } : {}),
    ...(args.isSet('tty') ? { tty: true } : {}),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      labels: labelsOf(args, name),
      name,
      ...namespaceMeta(call),
    },
    spec: {
      containers: [container],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: args.text('restart'),
    },
    status: {},
  };
}

function labelsOf(args: Arguments, name: string): Readonly<Record<string, string>> {
  const given = args.list('labels').map((text) => pairOf(text, 'label'));
  return given.length > 0 ? Object.fromEntries(given) : { run: name };
}

function pairOf(text: string, what: string): readonly [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new KubectlError(`invalid ${what}: ${text}`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function serviceOf(call: Call, name: string): Manifest {
  const port = call.args.number('port') ?? 0;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, ...namespaceMeta(call) },
    spec: {
      ports: [{ port, protocol: 'TCP', targetPort: port }],
      selector: labelsOf(call.args, name),
    },
    status: { loadBalancer: {} },
  };
}

interface Attaching {
  readonly api: Api;
  readonly args: Arguments;
  readonly io: Io;
}

async function attachAndWait({ api, args, io }: Attaching, name: string): Promise<number> {
  const place = await podPlace(api, name);
  const timeoutMs = durationMs(args.text('pod-running-timeout'));
  const pod = await untilObject({ api, place, timeoutMs }, (object) => {
    const now = decodePod(object);
    const { phase = 'Pending' } = now.status ?? {};
    return phase === 'Pending' ? undefined : now;
  });
  if (pod.status?.phase === 'Running')
    await attachTo(
      { api, io, pod, container: name },
      { hasStdin: args.isSet('stdin'), isAsked: args.isSet('tty') },
    );
  else await printLog({ api, io, args }, name);
  if (args.text('restart') === 'Always') return 0;
  return untilObject({ api, place, timeoutMs: 0 }, (object) => exitCodeOf(decodePod(object), io));
}

/** A pod that was quicker than we were has said what it had to say. */
async function printLog({ api, io }: Attaching, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${api.namespace}/pods/${name}/log`;
  for await (const chunk of await api.transport.stream({ method: 'GET', path }))
    io.stdout.write(chunk);
}

function exitCodeOf({ status, metadata }: Pod, { stderr }: Io): number | undefined {
  if (status?.phase === 'Succeeded') return 0;
  if (status?.phase !== 'Failed') return undefined;
  const code = status.containerStatuses?.[0]?.state?.terminated?.exitCode ?? 1;
  stderr.write(`pod ${metadata.namespace}/${metadata.name} terminated (Error)\n`);
  return code;
}

async function removePod({ api, args, io }: Attaching, name: string): Promise<void> {
  const place = await podPlace(api, name);
  await api.send('DELETE', place, { body: { apiVersion: 'v1', kind: 'DeleteOptions' } });
  if (!args.isSet('quiet'))
    io.stdout.write(`pod "${name}" deleted from ${api.namespace} namespace\n`);
  await untilGone(api, place, 0);
}

async function podPlace(api: Api, name: string) {
  return { kind: await api.kinds.find('pods'), namespace: api.namespace, name };
}

/** The place is that of a pod. */
function decodePod(object: unknown): Pod {
  return object as Pod;
}
