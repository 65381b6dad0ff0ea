/** Creates one object and prints it: what create, run and expose have alike. */

import type { Live } from './api.ts';
import { changePrinter } from './changes.ts';
import { DRY_RUN_FLAG, dryRunQuery, isClientDryRun } from './dry-run.ts';
import type { Manifest } from './files.ts';
import type { FlagSpec } from './flag.ts';
import { KubectlError } from './kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from './output/output.ts';
import type { Call } from './verb.ts';

export const CREATE_FLAGS: readonly FlagSpec[] = [DRY_RUN_FLAG, OUTPUT_FLAG, MANAGED_FIELDS_FLAG];

/** Sends an object with POST, or not at all in a dry run of the client; resolves to what is there then. */
export async function sendNew(
  { args, api }: Pick<Call, 'args' | 'api'>,
  { object, manager }: { readonly object: Manifest; readonly manager: string },
): Promise<Live> {
  if (isClientDryRun(args)) return decode(object);
  const kind = await api().kinds.ofObject(object.apiVersion, object.kind);
  const { namespace = api().namespaceOf(kind) } = object.metadata;
  return api().send<Live>(
    'POST',
    { kind, namespace },
    {
      body: object,
      query: { fieldManager: manager, fieldValidation: 'Strict', ...dryRunQuery(args) },
    },
  );
}

/** Creates objects in turn and prints each as it is made. */
export async function createAll(
  { args, io, api }: Call,
  {
    objects,
    manager = 'kubectl-create',
  }: { readonly objects: readonly Manifest[]; readonly manager?: string },
): Promise<number> {
  const print = changePrinter(args, io);
  for (const object of objects) print(await sendNew({ args, api }, { object, manager }), 'created');
  return 0;
}

/** The one name that a generator takes. */
export function exactlyOne(names: readonly string[]): string {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw new KubectlError(`exactly one NAME is required, got ${names.length}`);
  return name;
}

/** The namespace that was named on the command line, for objects that are only printed. */
export function namespaceMeta({ args }: Pick<Call, 'args'>): { readonly namespace?: string } {
  const namespace = args.optional('namespace');
  return namespace ? { namespace } : {};
}

/** What is made here and not sent: printing needs only its name and kind. */
function decode(object: Manifest): Live {
  const value: unknown = object;
  return value as Live;
}
