/** What the verbs of rollout work on. */

import { choosePlaces, type NamedPlace } from './choose.ts';
import { resourceText } from './kinds.ts';
import { refused } from './kubectl-error.ts';
import type { Call } from './verb.ts';

/** The objects of the command, which must be deployments. */
export async function deploymentPlaces(call: Call, verb: string): Promise<readonly NamedPlace[]> {
  const { args, io, api } = call;
  const places = await choosePlaces({ api: api(), args, io, verb: `rollout ${verb}` });
  const other = places.find(({ kind }) => resourceText(kind) !== 'deployments.apps');
  if (other) throw refused(`"rollout ${verb}" for ${resourceText(other.kind)}`);
  return places;
}
