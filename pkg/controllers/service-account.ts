/** Gives every namespace its `default` ServiceAccount. */

import { isReason } from '../api/errors.ts';
import type { Namespace, ServiceAccount } from '../api/generated/types.ts';
import { type Controller, DONE } from './controller.ts';

const NAME = 'default';

export const serviceAccount: Controller = {
  name: 'service-account',
  watches: {
    primary: 'namespaces',
    maps: {
      serviceaccounts: ({ metadata: { name, namespace } }) =>
        name === NAME && namespace ? [{ name: namespace }] : [],
    },
  },
  async reconcile(ref, { cache, client }, signal) {
    const found = cache.get<Namespace>('namespaces', ref);
    if (!found || found.metadata.deletionTimestamp) return DONE;
    const metadata = { namespace: ref.name, name: NAME };
    if (cache.get('serviceaccounts', metadata)) return DONE;
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
    try {
      await client.create<ServiceAccount>('serviceaccounts', account, signal);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
    return DONE;
  },
};
