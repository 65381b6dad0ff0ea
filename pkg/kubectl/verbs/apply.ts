/**
 * `kubectl apply`: server-side apply of every object. Without --server-side it behaves as client-side apply does for
 * its users: no conflicts, created/configured/unchanged, and the annotation from which the real kubectl computes its
 * next change.
 */

import type { Api, Live } from '../api.ts';
import type { Arguments } from '../arguments.ts';
import { changePrinter } from '../changes.ts';
import { DRY_RUN_FLAG, dryRunQuery, isClientDryRun } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { FILENAME_FLAGS, type Located, locate, type Manifest, readManifests } from '../files.ts';
import { KubectlError } from '../kubectl-error.ts';
import { adopted } from '../last-applied.ts';
import { compactJson } from '../output/json.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { unlessMissing } from '../problems.ts';
import { named } from '../source-errors.ts';
import { isUnchanged } from '../unchanged.ts';
import type { Call, Verb } from '../verb.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const MANAGER = 'kubectl';

export const apply: Verb = {
  name: 'apply',
  summary: 'Apply a configuration to a resource by file name or stdin.',
  usage: 'apply -f FILENAME [flags]',
  examples: ['mini kubectl apply -f app.yaml', 'cat app.json | mini kubectl apply -f -'],
  flags: [
    ...FILENAME_FLAGS,
    OUTPUT_FLAG,
    MANAGED_FIELDS_FLAG,
    DRY_RUN_FLAG,
    {
      name: 'server-side',
      type: 'switch',
      help: 'If true, apply says so in its words and refuses conflicts with other field managers.',
    },
    {
      name: 'force-conflicts',
      type: 'switch',
      help: 'If true, server-side apply will force the changes against conflicts.',
    },
    {
      name: 'field-manager',
      type: 'text',
      default: MANAGER,
      help: 'Name of the manager used to track field ownership.',
    },
    {
      name: 'validate',
      type: 'text',
      default: 'strict',
      bare: 'strict',
      choices: ['strict', 'warn', 'ignore', 'true', 'false'],
      help: 'What to do about unknown or duplicate fields.',
    },
  ],
  async run({ args, io, api: open }) {
    const files = args.list('filename');
    if (files.length === 0) throw new KubectlError('must specify one of -f and -k');
    if (args.names.length > 0)
      throw new KubectlError(
        `Unexpected args: [${args.names.join(' ')}]\nSee 'mini kubectl apply -h' for help and examples`,
      );
    const api = open();
    const isRecursive = args.isSet('recursive');
    const manifests = await readManifests({ files, isRecursive, stdin: io.stdin });
    return applyAll({ args, io, api: () => api }, await locate(api, manifests));
  },
};

async function applyAll({ args, io, api }: Call, all: readonly Located[]): Promise<number> {
  const print = changePrinter(args, io);
  await forEachTried(all, async (located) => {
    const applied = applyOne(api(), args, located);
    const { object, done } = await named(applied, {
      doing: 'applying patch',
      source: located.source,
    });
    print(object, done);
  });
  return 0;
}

interface Applied {
  readonly object: Live;
  readonly done: string;
}

async function applyOne(api: Api, args: Arguments, located: Located): Promise<Applied> {
  const { place, object } = located;
  if (!place.name) throw new KubectlError('metadata.name must be set to apply an object');
  const isServerSide = args.isSet('server-side');
  const wanted = isServerSide ? object : withLastApplied(object);
  const before = await unlessMissing(api.get<Live>(place));
  if (isClientDryRun(args)) return planned(before, wanted);
  if (before && !isServerSide) await adopted(api, { place, live: before, manager: MANAGER });
  const isForced = !isServerSide || args.isSet('force-conflicts');
  const after = await api.send<Live>('PATCH', place, {
    contentType: 'application/apply-patch+yaml',
    body: wanted,
    query: {
      fieldManager: args.text('field-manager'),
      fieldValidation: validationOf(args),
      ...(isForced ? { force: 'true' } : {}),
      ...dryRunQuery(args),
    },
  });
  if (isServerSide) return { object: after, done: 'serverside-applied' };
  if (!before) return { object: after, done: 'created' };
  return { object: after, done: isUnchanged(before, after, wanted) ? 'unchanged' : 'configured' };
}

function planned(before: Live | undefined, wanted: Manifest): Applied {
  const object = decode({ ...wanted });
  if (!before) return { object, done: 'created' };
  const old = before.metadata.annotations?.[LAST_APPLIED];
  const isUnchanged = old !== undefined && old === wanted.metadata.annotations?.[LAST_APPLIED];
  return { object: isUnchanged ? before : object, done: isUnchanged ? 'unchanged' : 'configured' };
}

/** The object with itself as the annotation that client-side apply keeps. */
function withLastApplied(object: Manifest): Manifest {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const text = `${compactJson(bare)}\n`;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
}

function validationOf(args: Arguments): string {
  const value = args.text('validate');
  if (value === 'warn') return 'Warn';
  return value === 'ignore' || value === 'false' ? 'Ignore' : 'Strict';
}

/** What has been read from a file and is not yet stored, where only its name and kind are printed. */
function decode(object: object): Live {
  return object as Live;
}
