/** Services and Endpoints. */

import { change, each, fill } from '../defaulting.ts';
import type { Endpoints, Service, ServicePort, ServiceSpec } from '../generated/types.ts';
import { dns1035Label } from '../names.ts';
import type { Column, Resource } from '../resource.ts';
import { AGE, firstOf, listed, NAME, NONE, showLabels, text, wide } from './columns.ts';
import { validateEndpoints, validateService, validateServiceUpdate } from './service-validation.ts';

const AFFINITY_SECONDS = 10_800;
/** Longest list of load balancer addresses shown without -o wide. */
const MAX_ENDPOINTS = 3;

function portDefaults(port: ServicePort): ServicePort {
  const filled = fill(port, { protocol: 'TCP' });
  return filled.targetPort === undefined || filled.targetPort === '' || filled.targetPort === 0
    ? { ...filled, targetPort: port.port }
    : filled;
}

function isExternal({ type }: ServiceSpec): boolean {
  return type === 'NodePort' || type === 'LoadBalancer';
}

function affinityConfig(spec: ServiceSpec): ServiceSpec {
  if (spec.sessionAffinity !== 'ClientIP') return spec;
  return change(fill(spec, { sessionAffinityConfig: {} }), {
    sessionAffinityConfig: (config) =>
      change(fill(config, { clientIP: {} }), {
        clientIP: (client) => fill(client, { timeoutSeconds: AFFINITY_SECONDS }),
      }),
  });
}

function specDefaults(spec: ServiceSpec): ServiceSpec {
  const typed = fill(spec, { sessionAffinity: 'None', type: 'ClusterIP' });
  const isCluster = typed.type !== 'ExternalName';
  const filled = fill(affinityConfig(typed), {
    ...(isExternal(typed) ? { externalTrafficPolicy: 'Cluster' } : {}),
    ...(isCluster ? { internalTrafficPolicy: 'Cluster' } : {}),
    ...(typed.type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: true } : {}),
    ...(typed.clusterIP && !typed.clusterIPs ? { clusterIPs: [typed.clusterIP] } : {}),
    ...(!typed.clusterIP && typed.clusterIPs?.[0] ? { clusterIP: typed.clusterIPs[0] } : {}),
  });
  return change(filled, { ports: each(portDefaults) });
}

function ports(list: readonly ServicePort[] | undefined): string {
  return listed(
    list?.map(
      ({ port, nodePort, protocol }) =>
        `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? ''}`,
    ),
  );
}

function ingressAddresses({ status }: Service): readonly string[] {
  const found =
    status?.loadBalancer?.ingress?.map(({ ip, hostname }) => ip || hostname || '') ?? [];
  return [...new Set(found.filter((address) => address !== ''))];
}

function externalIp(service: Service): string {
  const { spec } = service;
  const externalIps = spec.externalIPs ?? [];
  if (spec.type === 'ExternalName') return spec.externalName ?? '';
  if (spec.type !== 'LoadBalancer') return listed(externalIps);
  const all = [...ingressAddresses(service), ...externalIps];
  return all.length > 0 ? all.join(',') : '<pending>';
}

const COLUMNS: readonly Column<Service>[] = [
  NAME,
  text('Type', ({ spec }) => spec.type ?? ''),
  text('Cluster-IP', ({ spec }) => spec.clusterIPs?.[0] || spec.clusterIP || NONE),
  text('External-IP', externalIp),
  text('Port(s)', ({ spec }) => ports(spec.ports)),
  AGE,
  wide(text('Selector', ({ spec }) => showLabels(spec.selector))),
];

export const services: Resource<Service> = {
  gvk: ['', 'v1', 'Service'],
  names: { plural: 'services', singular: 'service', short: ['svc'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Service',
  subresources: ['proxy', 'status'],
  fields: {
    'spec.clusterIP': ({ spec }) => spec.clusterIP ?? '',
    'spec.type': ({ spec }) => spec.type ?? '',
  },
  validateName: dns1035Label,
  defaults: (service) =>
    change(fill(service, { spec: {}, status: { loadBalancer: {} } }), { spec: specDefaults }),
  prepareForCreate: (service) => ({ ...service, status: { loadBalancer: {} } }),
  prepareForUpdate: keepAllocated,
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  columns: COLUMNS,
};

/** A replacement that leaves out addresses or node ports keeps those that were allocated. */
function keepAllocated(service: Service, { spec: old }: Service): Service {
  return change(service, { spec: (spec) => keepAddresses(keepNodePorts(spec, old), old) });
}

function keepAddresses(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName') return spec;
  return fill(spec.clusterIP === '' ? { ...spec, clusterIP: old.clusterIP ?? '' } : spec, {
    ...(old.clusterIP ? { clusterIP: old.clusterIP } : {}),
    ...(old.clusterIPs ? { clusterIPs: old.clusterIPs } : {}),
    ...(old.ipFamilies ? { ipFamilies: old.ipFamilies } : {}),
    ...(old.ipFamilyPolicy ? { ipFamilyPolicy: old.ipFamilyPolicy } : {}),
    ...(spec.externalTrafficPolicy === 'Local' && old.healthCheckNodePort
      ? { healthCheckNodePort: old.healthCheckNodePort }
      : {}),
  });
}

function keepNodePorts(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  if (!isExternal(spec) || !isExternal(old)) return spec;
  const key = ({ port, protocol }: ServicePort): string => `${protocol}/${port}`;
  const taken = new Set((spec.ports ?? []).map(({ nodePort }) => nodePort));
  const before = new Map((old.ports ?? []).map((port) => [key(port), port.nodePort]));
  const kept = (port: ServicePort): ServicePort => {
    const nodePort = before.get(key(port));
    return port.nodePort || !nodePort || taken.has(nodePort) ? port : { ...port, nodePort };
  };
  return change(spec, { ports: each(kept) });
}

function endpointsText({ subsets }: Endpoints): string {
  const all = (subsets ?? []).flatMap(({ addresses = [], ports: named = [] }) =>
    named.length === 0
      ? addresses.map(({ ip }) => ip)
      : named.flatMap(({ port }) => addresses.map(({ ip }) => hostPort(ip, port))),
  );
  return firstOf(all, MAX_ENDPOINTS);
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export const endpoints: Resource<Endpoints> = {
  gvk: ['', 'v1', 'Endpoints'],
  names: { plural: 'endpoints', singular: 'endpoints', short: ['ep'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Endpoints',
  defaults: (object) =>
    change(object, {
      subsets: each((subset) =>
        change(subset, { ports: each((port) => fill(port, { protocol: 'TCP' })) }),
      ),
    }),
  validate: validateEndpoints,
  columns: [NAME, text('Endpoints', endpointsText), AGE],
};
