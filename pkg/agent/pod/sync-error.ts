/** Tells why a pod could not be brought to what it should be: the user by an event, and the log. */

import type { Pod } from '../../api/generated/types.ts';
import { describe } from '../../log/log.ts';
import type { NodeContext } from '../node-context.ts';
import { VolumeError } from '../volumes/volumes.ts';

/** Its event is recorded already. */
export class ToldError extends Error {}

export function tellSyncError({ events, log }: NodeContext, pod: Pod, error: unknown): void {
  if (error instanceof VolumeError) {
    events.record(pod, { type: 'Warning', reason: error.reason, message: error.message });
    return;
  }
  const { namespace, name } = pod.metadata;
  log.warn('Could not sync a pod', { pod: `${namespace}/${name}`, error });
  if (error instanceof ToldError) return;
  const message = `Error syncing pod, skipping: ${describe(error)}`;
  events.record(pod, { type: 'Warning', reason: 'FailedSync', message });
}
