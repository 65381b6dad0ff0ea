/** `kubectl delete`: deletes objects by name, selector or file, and waits until they are gone. */

import type { Api, Live } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { CHOICE_FLAGS, choosePlaces, type NamedPlace } from '../choose.ts';
import { DRY_RUN_FLAG, dryRunQuery, dryRunSuffix, isClientDryRun } from '../dry-run.ts';
import { durationMs } from '../durations.ts';
import { forEachTried } from '../each.ts';
import { singularText } from '../kinds.ts';
import { KubectlError } from '../kubectl-error.ts';
import { OUTPUT_FLAG } from '../output/output.ts';
import { unlessMissing } from '../problems.ts';
import { ALL_NAMESPACES_FLAG, FIELD_SELECTOR_FLAG } from '../targets.ts';
import { untilGone } from '../until.ts';
import type { Call, Verb } from '../verb.ts';

const PROPAGATION: Readonly<Record<string, string>> = {
  background: 'Background',
  foreground: 'Foreground',
  orphan: 'Orphan',
};

export const deleteVerb: Verb = {
  name: 'delete',
  summary:
    'Delete resources by file names, stdin, resources and names, or by resources and label selector.',
  usage: 'delete ([-f FILENAME] | TYPE [(NAME | -l label | --all)]) [flags]',
  examples: ['mini kubectl delete pod web-1', 'mini kubectl delete -f app.yaml'],
  flags: [
    ...CHOICE_FLAGS,
    FIELD_SELECTOR_FLAG,
    ALL_NAMESPACES_FLAG,
    DRY_RUN_FLAG,
    OUTPUT_FLAG,
    {
      name: 'cascade',
      type: 'text',
      default: 'background',
      bare: 'background',
      choices: ['background', 'foreground', 'orphan'],
      help: 'How dependents are deleted.',
    },
    {
      name: 'force',
      type: 'switch',
      help: 'Remove from the API at once and skip graceful deletion.',
    },
    {
      name: 'grace-period',
      type: 'number',
      default: '-1',
      help: 'Seconds given to the resource to terminate gracefully. Ignored if negative.',
    },
    { name: 'now', type: 'switch', help: 'Signal for immediate shutdown (--grace-period=1).' },
    {
      name: 'ignore-not-found',
      type: 'switch',
      help: 'Treat "resource not found" as a successful delete.',
    },
    {
      name: 'wait',
      type: 'switch',
      default: 'true',
      help: 'If true, wait for resources to be gone before returning.',
    },
    {
      name: 'timeout',
      type: 'text',
      default: '0s',
      help: 'How long to wait before giving up; zero means without end.',
    },
  ],
  run: deleteObjects,
};

async function deleteObjects({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const graceSeconds = graceOf(args);
  const isForced = args.isSet('force');
  if (isForced && graceSeconds === 0)
    io.stderr.write(
      'Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n',
    );
  const places = await choosePlaces({ api, args, io, verb: 'delete' });
  if (places.length === 0) io.stdout.write('No resources found\n');
  const deleted: (NamedPlace & { readonly uid: string })[] = [];
  const remove = async (place: NamedPlace) => {
    const uid = await deleteOne({ api, args, graceSeconds }, place);
    if (uid === undefined) return;
    io.stdout.write(textOf(args, place));
    deleted.push({ ...place, uid });
  };
  try {
    await forEachTried(places, remove);
  } finally {
    const isWaited = args.isSet('wait') && args.text('dry-run') === 'none';
    const timeoutMs = durationMs(args.text('timeout'));
    if (isWaited) for (const place of deleted) await untilGone(api, place, timeoutMs);
  }
  return 0;
}

function graceOf(args: Arguments): number {
  const seconds = args.number('grace-period') ?? -1;
  if (args.isSet('now')) {
    if (seconds !== -1)
      throw new KubectlError('--now and --grace-period cannot be specified together');
    return 1;
  }
  if (seconds === 0 && !args.isSet('force')) return 1; // As kubectl: only --force may be that hasty.
  if (args.isSet('force') && seconds < 0) return 0;
  if (args.isSet('force') && seconds > 0)
    throw new KubectlError(
      '--force and --grace-period greater than 0 cannot be specified together',
    );
  return seconds;
}

interface Deleting {
  readonly api: Api;
  readonly args: Arguments;
  readonly graceSeconds: number;
}

/** Resolves to the uid of what is deleted; to undefined when it is not there and need not be. */
async function deleteOne(
  { api, args, graceSeconds }: Deleting,
  place: NamedPlace,
): Promise<string | undefined> {
  const remove = async () => {
    if (isClientDryRun(args)) return (await api.get<Live>(place)).metadata.uid;
    const answer = await api.send<Answer>('DELETE', place, {
      query: dryRunQuery(args),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: PROPAGATION[args.text('cascade')],
        ...(graceSeconds >= 0 ? { gracePeriodSeconds: graceSeconds } : {}),
      },
    });
    return answer.details?.uid ?? answer.metadata?.uid ?? '';
  };
  const isLenient =
    args.isSet('ignore-not-found') || (args.isSet('all') && !args.has('ignore-not-found'));
  return isLenient ? unlessMissing(remove()) : remove();
}

/** The object, or a Status with details about it. */
interface Answer {
  readonly metadata?: { readonly uid?: string };
  readonly details?: { readonly uid?: string };
}

function textOf(args: Arguments, { kind, namespace, name }: NamedPlace): string {
  if (args.optional('output') === 'name') return `${singularText(kind)}/${name}\n`;
  const how = args.isSet('force') && graceOf(args) === 0 ? 'force deleted' : 'deleted';
  const where = namespace ? ` from ${namespace} namespace` : '';
  return `${singularText(kind)} "${name}" ${how}${where}${dryRunSuffix(args)}\n`;
}
