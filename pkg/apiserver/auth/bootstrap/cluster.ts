/**
 * What every cluster has from its start: system namespaces, priority classes, default RBAC, and the `kubernetes`
 * service with the servers' addresses. Idempotent; independent writes go out together to share one sync.
 */

import { isDeepStrictEqual } from 'node:util';
import { isReason } from '../../../api/errors.ts';
import type { ApiObject, Draft } from '../../../api/meta.ts';
import { LOCAL_PATH } from '../../../api/volume-binding.ts';
import { parseRange } from '../../admission/address-range.ts';
import { SYSTEM_PRIORITY_CLASSES } from '../../admission/priority.ts';
import type { Registry } from '../../contract.ts';
import { reconcileBootstrapPolicy } from './reconcile.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const SERVICE = 'kubernetes';
/** Name and ways are k3s's; made when missing, never changed. */
const LOCAL_CLASS = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: {
    name: 'local-path',
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
  },
  provisioner: LOCAL_PATH,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
};

export interface BootstrapOptions {
  readonly registry: Registry;
  /** The first of --service-cidr; the service gets its first address. */
  readonly serviceCidr: string;
  /** Addresses and port at which pods reach the servers. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Whether mini makes volumes itself: then there is a class of them, the default one. */
  readonly hasLocalStorage?: boolean;
}

/** Resolves once everything is there. */
export async function bootstrapCluster(options: BootstrapOptions): Promise<void> {
  const { registry } = options;
  await Promise.all([
    ...NAMESPACES.map((name) => ensure(registry, 'namespaces', namespaceOf(name))),
    ...SYSTEM_PRIORITY_CLASSES.map((one) => ensure(registry, 'priorityclasses', one)),
    ...(options.hasLocalStorage ? [ensure(registry, 'storageclasses', LOCAL_CLASS)] : []),
    reconcileBootstrapPolicy(registry),
    reconcileKubernetesService(options),
  ]);
}

/** The address of the `kubernetes` service: the first of the range. */
function kubernetesServiceIp(serviceCidr: string): string {
  return parseRange(serviceCidr).at(1);
}

/** Creates the service and points its Endpoints and EndpointSlice at these servers; call again when they change. */
async function reconcileKubernetesService(options: BootstrapOptions): Promise<void> {
  const { registry, serviceCidr, addresses, port } = options;
  const { family } = parseRange(serviceCidr);
  const clusterIP = kubernetesServiceIp(serviceCidr);
  const metadata = {
    name: SERVICE,
    namespace: 'default',
    labels: { component: 'apiserver', provider: 'kubernetes' },
  };
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [family],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
    },
    status: { loadBalancer: {} },
  };
  const endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name: SERVICE,
      namespace: 'default',
      labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
    },
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports }],
  };
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: SERVICE,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': SERVICE },
    },
    addressType: family,
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports,
  };
  await Promise.all([
    ensure(registry, 'services', service),
    replace(registry, 'endpoints', endpoints),
    replace(registry, 'endpointslices', slice),
  ]);
}

function namespaceOf(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

async function ensure(
  registry: Registry,
  resource: string,
  object: Draft<ApiObject>,
): Promise<void> {
  const { name = '', namespace } = object.metadata;
  const ref = namespace === undefined ? { name } : { namespace, name };
  if (registry.get(resource, ref)) return;
  try {
    await registry.create(resource, object);
  } catch (error) {
    // Another server on the same store was faster.
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}

/** Creates the object, or gives it these fields when they differ. */
async function replace(
  registry: Registry,
  resource: string,
  object: Draft<ApiObject>,
): Promise<void> {
  const { metadata: _metadata, ...fields } = object;
  const { name = '', namespace = '' } = object.metadata;
  await ensure(registry, resource, object);
  await registry.modify(resource, { namespace, name }, (current) => {
    const next = { ...current, ...fields };
    return isDeepStrictEqual(next, current) ? current : next;
  });
}
