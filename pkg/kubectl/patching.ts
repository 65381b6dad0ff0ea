/** Patches objects and prints each: what label, scale, rollout and others have alike. */

import type { PatchType } from '../client/client.ts';
import type { Api, Live } from './api.ts';
import type { Arguments } from './arguments.ts';
import type { NamedPlace } from './choose.ts';
import { dryRunQuery, isClientDryRun } from './dry-run.ts';

const CONTENT_TYPES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export interface Patch {
  readonly type: PatchType;
  readonly body: unknown;
  /** Recorded as the manager of the fields. */
  readonly manager: string;
}

/** Sends a patch; in a dry run of the client only reads the object. */
export async function sendPatch(
  { api, args }: { readonly api: Api; readonly args: Arguments },
  place: NamedPlace,
  { type, body, manager }: Patch,
): Promise<Live> {
  if (isClientDryRun(args)) return api.get<Live>(place);
  return api.send<Live>('PATCH', place, {
    contentType: CONTENT_TYPES[type],
    body,
    query: { fieldManager: manager, ...dryRunQuery(args) },
  });
}
