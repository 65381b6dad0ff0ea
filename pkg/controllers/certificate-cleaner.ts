/** Removes PodCertificateRequests some time after they were made: by then they were decided, or nobody decides them. */

import { isReason } from '../api/errors.ts';
import type { PodCertificateRequest } from '../api/generated/types.ts';
import { type Controller, DONE } from './controller.ts';

const REQUESTS = 'podcertificaterequests';
/** As kube-controller-manager; a node asks again for what it still needs. */
const AGE_MAX_MS = 15 * 60_000;

export const certificateCleaner: Controller = {
  name: 'podcertificaterequestcleaner',
  watches: { primary: REQUESTS },
  async reconcile(ref, { cache, client, now }, signal) {
    const request = cache.get<PodCertificateRequest>(REQUESTS, ref);
    if (!request || request.metadata.deletionTimestamp) return DONE;
    const { uid, creationTimestamp } = request.metadata;
    const restMs = Date.parse(creationTimestamp) + AGE_MAX_MS - now();
    if (restMs > 0) return { requeueAfterMs: restMs };
    try {
      await client.remove(REQUESTS, ref, { preconditions: { uid } }, signal);
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
    return DONE;
  },
};
