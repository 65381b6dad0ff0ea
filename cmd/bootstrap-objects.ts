/** Objects that every cluster has from its first moment: system namespaces and the `kubernetes` service. */

import { isReason } from '../pkg/api/errors.ts';
import type { Namespace, Service } from '../pkg/api/generated/types.ts';
import type { Draft } from '../pkg/api/meta.ts';
import type { Registry } from '../pkg/apiserver/contract.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

export interface BootstrapOptions {
  readonly serviceCidr: string;
  readonly port: number;
}

/** Creates what is missing; all in one batch of the store. */
export async function bootstrapObjects(
  registry: Registry,
  { serviceCidr, port }: BootstrapOptions,
): Promise<void> {
  const missing = NAMESPACES.filter((name) => !registry.get('namespaces', { name }));
  await Promise.all(
    missing.map((name) => unlessThere(registry.create<Namespace>('namespaces', namespace(name)))),
  );
  if (registry.get('services', { namespace: 'default', name: 'kubernetes' })) return;
  await unlessThere(
    registry.create<Service>('services', kubernetesService(firstAddress(serviceCidr), port)),
  );
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}

function namespace(name: string): Draft<Namespace> {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

function kubernetesService(clusterIp: string, port: number): Draft<Service> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIp,
      clusterIPs: [clusterIp],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
    status: { loadBalancer: {} },
  };
}

/** The n-th address of a CIDR block (default: the first). Throws on a malformed one. */
export function firstAddress(cidr: string, n = 1): string {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  const bytes = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5]);
  if (!match || bytes.some((byte) => byte > 255) || bits > 30) {
    throw new Error(`${cidr} is not an IPv4 block with room for addresses, such as 10.43.0.0/16`);
  }
  const base = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const network = base - (base % 2 ** (32 - bits));
  const address = network + n;
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
