/** Keeps the ConfigMap `kube-root-ca.crt` in every namespace: by it pods know the API server. */

import { isReason } from '../api/errors.ts';
import type { ConfigMap, Namespace } from '../api/generated/types.ts';
import { type Controller, DONE } from './controller.ts';

const NAME = 'kube-root-ca.crt';
const NOTE =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Makes the controller for a CA certificate in PEM. */
export function rootCa(ca: string): Controller {
  return {
    name: 'root-ca-certificate-publisher',
    watches: {
      primary: 'namespaces',
      maps: {
        configmaps: ({ metadata: { name, namespace } }) =>
          name === NAME && namespace ? [{ name: namespace }] : [],
      },
    },
    async reconcile(ref, { cache, client }, signal) {
      const found = cache.get<Namespace>('namespaces', ref);
      if (!found || found.metadata.deletionTimestamp) return DONE;
      const metadata = { namespace: ref.name, name: NAME };
      const data = { 'ca.crt': ca };
      const current = cache.get<ConfigMap>('configmaps', metadata);
      if (current?.data?.['ca.crt'] === ca && Object.keys(current.data).length === 1) return DONE;
      if (current) {
        await client.update<ConfigMap>('configmaps', { ...current, data }, signal);
        return DONE;
      }
      const annotations = { 'kubernetes.io/description': NOTE };
      const draft = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...metadata, annotations },
        data,
      };
      try {
        await client.create<ConfigMap>('configmaps', draft, signal);
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
      }
      return DONE;
    },
  };
}
