/** `kubectl drain`: takes a node out of service and evicts its pods, as their disruption budgets allow. */

import { isReason, StatusError } from '../../api/errors.ts';
import type { Node, Pod } from '../../api/generated/types.ts';
import type { Api, Live } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { choosePlaces, type NamedPlace } from '../choose.ts';
import { type Choice, choosePods } from '../drain-pods.ts';
import { DRY_RUN_FLAG, dryRunQuery, dryRunSuffix, isClientDryRun } from '../dry-run.ts';
import { durationMs } from '../durations.ts';
import type { Kind } from '../kinds.ts';
import { KubectlError } from '../kubectl-error.ts';
import { sendPatch } from '../patching.ts';
import { unlessMissing } from '../problems.ts';
import { listAll, SELECTOR_FLAG } from '../targets.ts';
import { untilGone } from '../until.ts';
import type { Call, Verb } from '../verb.ts';

/** As kubectl: an eviction that a budget forbids is tried again so often. */
const RETRY_MS = 5_000;

export const drain: Verb = {
  name: 'drain',
  summary: 'Drain node in preparation for maintenance.',
  usage: 'drain NODE [flags]',
  examples: ['mini kubectl drain two --ignore-daemonsets --delete-emptydir-data'],
  flags: [
    SELECTOR_FLAG,
    DRY_RUN_FLAG,
    { name: 'filename', type: 'list', help: 'Filename with the nodes.' },
    { name: 'recursive', type: 'switch', help: 'Process directories recursively.' },
    {
      name: 'force',
      type: 'switch',
      help: 'Continue even if there are pods that do not declare a controller.',
    },
    { name: 'ignore-daemonsets', type: 'switch', help: 'Ignore DaemonSet-managed pods.' },
    {
      name: 'delete-emptydir-data',
      type: 'switch',
      help: 'Continue even if there are pods using emptyDir (local data that will be deleted when the node is drained).',
    },
    {
      name: 'disable-eviction',
      type: 'switch',
      help: 'Force drain to use delete, even if eviction is supported. This will bypass checking PodDisruptionBudgets.',
    },
    {
      name: 'grace-period',
      type: 'number',
      default: '-1',
      help: "Seconds given to each pod to terminate gracefully. If negative, the pod's own.",
    },
    {
      name: 'timeout',
      type: 'text',
      default: '0s',
      help: 'The length of time to wait before giving up, zero means infinite.',
    },
    { name: 'pod-selector', type: 'text', help: 'Label selector to filter pods on the node.' },
  ],
  run: drainNodes,
};

async function drainNodes(call: Call): Promise<number> {
  const { args, io } = call;
  const api = call.api();
  if (args.names.length === 0 && !args.has('selector') && !args.has('filename'))
    throw new KubectlError(
      `USAGE: drain NODE [flags]\nSee 'mini kubectl drain -h' for help and examples`,
    );
  const names = args.names.map((node) => node.replace(/^nodes?\//, ''));
  const places = await choosePlaces({ api, args, io, names: ['nodes', ...names], verb: 'drain' });
  for (const place of places) await cordonNode(call, place);
  const failed: { readonly name: string; readonly error: KubectlError }[] = [];
  for (const { name } of places) {
    try {
      await drainOne(call, name);
      io.stdout.write(`node/${name} drained${dryRunSuffix(args)}\n`);
    } catch (error) {
      if (!(error instanceof KubectlError)) throw error;
      io.stderr.write(
        `error: unable to drain node "${name}" due to error: ${error.message}, continuing command...\n`,
      );
      failed.push({ name, error });
    }
  }
  if (failed.length === 0) return 0;
  io.stderr.write(`There are pending nodes to be drained:\n`);
  for (const { name } of failed) io.stderr.write(` ${name}\n`);
  for (const { error } of failed) io.stderr.write(`${error.message}\n`);
  return 1;
}

async function cordonNode({ args, io, api: open }: Call, place: NamedPlace): Promise<void> {
  const api = open();
  const { spec } = await api.get<Node>(place);
  const isAlready = spec.unschedulable === true;
  const body = { spec: { unschedulable: true } };
  if (!isAlready)
    await sendPatch({ api, args }, place, { type: 'merge', body, manager: 'kubectl-drain' });
  const done = isAlready ? 'already cordoned' : 'cordoned';
  io.stdout.write(`node/${place.name} ${done}${dryRunSuffix(args)}\n`);
}

async function drainOne({ args, io, api: open }: Call, node: string): Promise<void> {
  const api = open();
  const kind = await api.kinds.find('pods');
  const labelSelector = args.optional('pod-selector');
  const query = {
    fieldSelector: `spec.nodeName=${node}`,
    ...(labelSelector ? { labelSelector } : {}),
  };
  const pods = (await listAll(api, { kind }, query)).map(asPod);
  const sets = await api.kinds.find('daemonsets');
  const choice: Choice = await choosePods(pods, {
    isForced: args.isSet('force'),
    ignoresDaemonSets: args.isSet('ignore-daemonsets'),
    deletesEmptyDir: args.isSet('delete-emptydir-data'),
    hasDaemonSet: async (namespace, name) =>
      (await unlessMissing(api.get({ kind: sets, namespace, name }))) !== undefined,
  });
  if (choice.warning) io.stderr.write(`Warning: ${choice.warning}\n`);
  if (choice.errors) throw new KubectlError(choice.errors);
  const timeoutMs = durationMs(args.text('timeout'));
  const deadlineMs = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY;
  const results = await Promise.allSettled(
    choice.pods.map((pod) => removePod({ api, args, io, kind, deadlineMs }, pod)),
  );
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  const [first] = failures;
  if (first === undefined) return;
  throw failures.length === 1 && first instanceof KubectlError
    ? first
    : new KubectlError(`[${failures.map(messageOf).join(', ')}]`, { cause: first });
}

interface Removing {
  readonly api: Api;
  readonly args: Arguments;
  readonly io: Call['io'];
  readonly kind: Kind;
  readonly deadlineMs: number;
}

/** Evicts or deletes, then waits until the pod is gone. */
async function removePod(removing: Removing, { metadata }: Pod): Promise<void> {
  const { api, args, io, kind, deadlineMs } = removing;
  const { namespace = '', name, uid } = metadata;
  const place = { kind, namespace, name };
  const isDelete = args.isSet('disable-eviction');
  const verb = isDelete ? 'deleting' : 'evicting';
  io.stdout.write(`${verb} pod ${namespace}/${name}${dryRunSuffix(args)}\n`);
  if (isClientDryRun(args)) return;
  await (isDelete ? deletePod(removing, place) : evictPod(removing, place));
  if (args.text('dry-run') === 'server') return;
  const leftMs = Number.isFinite(deadlineMs) ? Math.max(deadlineMs - performance.now(), 1) : 0;
  await untilGone(api, { ...place, uid }, leftMs).catch((error: unknown) => {
    throw timedOut(error, place);
  });
  io.stdout.write(`pod/${name} ${isDelete ? 'deleted' : 'evicted'}\n`);
}

async function deletePod({ api, args }: Removing, place: NamedPlace): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...graceOf(args) };
  await unlessMissing(api.send('DELETE', place, { query: dryRunQuery(args), body }));
}

async function evictPod({ api, args, io, deadlineMs }: Removing, place: NamedPlace): Promise<void> {
  const { namespace, name } = place;
  const body = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace },
    deleteOptions: graceOf(args),
  };
  for (;;) {
    try {
      const eviction = { ...place, subresource: 'eviction' };
      await unlessMissing(api.send('POST', eviction, { query: dryRunQuery(args), body }));
      return;
    } catch (error) {
      const isLate = performance.now() + RETRY_MS > deadlineMs;
      if (!isReason(error, 'TooManyRequests') || !(error instanceof StatusError))
        throw new KubectlError(
          `error when evicting pods/"${name}" -n "${namespace}": ${messageOf(error)}`,
          {
            cause: error,
          },
        );
      if (isLate) throw timedOut(error, place);
      io.stderr.write(
        `error when evicting pods/"${name}" -n "${namespace}" (will retry after 5s): ${error.message}\n`,
      );
      await new Promise((next) => setTimeout(next, RETRY_MS));
    }
  }
}

function timedOut(cause: unknown, { name, namespace }: NamedPlace): KubectlError {
  const what = `error when waiting for pod "${name}" in namespace "${namespace}" to terminate`;
  return new KubectlError(`${what}: global timeout reached`, { cause });
}

function graceOf(args: Arguments): { readonly gracePeriodSeconds?: number } {
  const seconds = args.number('grace-period') ?? -1;
  return seconds >= 0 ? { gracePeriodSeconds: seconds } : {};
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The server lists pods. */
function asPod(object: Live): Pod {
  return object as unknown as Pod;
}
