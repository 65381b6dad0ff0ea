/** Tells why a pod could not be brought to what it should be: the user by an event, or the log. */

import type { Pod } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import { VolumeError } from '../volumes/volumes.ts';

export function tellSyncError({ events, log }: NodeContext, pod: Pod, error: unknown): void {
  if (error instanceof VolumeError) {
    events.record(pod, { type: 'Warning', reason: error.reason, message: error.message });
    return;
  }
  const { namespace, name } = pod.metadata;
  log.warn('Could not sync a pod', { pod: `${namespace}/${name}`, error });
}
