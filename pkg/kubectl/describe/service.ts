/** `kubectl describe service`. */

import type { EndpointSlice, Service, ServicePort } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import { eventLines } from './events.ts';
import { metaLines, orNone } from './text.ts';

/** Addresses that are printed of one port. */
const SHOWN_MAX = 3;

/** Describes a service; not aligned yet. */
export async function describeService(api: Api, service: Service): Promise<string> {
  const { metadata, spec, status } = service;
  const { items: slices } = await api.client.list<EndpointSlice>('endpointslices', {
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    labelSelector: `kubernetes.io/service-name=${metadata.name}`,
  });
  const ingress = status?.loadBalancer?.ingress ?? [];
  const selector = Object.entries(spec.selector ?? {}).map(([key, value]) => `${key}=${value}`);
  return [
    metaLines(metadata),
    `Selector:\t${orNone(selector.sort().join(','))}\n`,
    `Type:\t${spec.type ?? ''}\n`,
    spec.ipFamilyPolicy ? `IP Family Policy:\t${spec.ipFamilyPolicy}\n` : '',
    spec.ipFamilies?.length ? `IP Families:\t${spec.ipFamilies.join(',')}\n` : '',
    `IP:\t${spec.clusterIP ?? ''}\n`,
    `IPs:\t${orNone(spec.clusterIPs?.join(','))}\n`,
    spec.externalIPs?.length ? `External IPs:\t${spec.externalIPs.join(',')}\n` : '',
    spec.externalName ? `External Name:\t${spec.externalName}\n` : '',
    ingress.length > 0
      ? `LoadBalancer Ingress:\t${ingress.map(({ ip, hostname }) => ip ?? hostname ?? '').join(', ')}\n`
      : '',
    ...(spec.ports ?? []).map((port) => portLines(port, slices)),
    `Session Affinity:\t${spec.sessionAffinity ?? ''}\n`,
    spec.externalTrafficPolicy ? `External Traffic Policy:\t${spec.externalTrafficPolicy}\n` : '',
    spec.internalTrafficPolicy ? `Internal Traffic Policy:\t${spec.internalTrafficPolicy}\n` : '',
    await eventLines(api, service),
  ].join('');
}

function portLines(
  { name, port, protocol = 'TCP', targetPort, nodePort }: ServicePort,
  slices: readonly EndpointSlice[],
): string {
  const shown = name || '<unset>';
  return [
    `Port:\t${shown}\t${port}/${protocol}\n`,
    `TargetPort:\t${targetPort ?? port}/${protocol}\n`,
    nodePort ? `NodePort:\t${shown}\t${nodePort}/${protocol}\n` : '',
    `Endpoints:\t${endpointText(slices, name ?? '')}\n`,
  ].join('');
}

function endpointText(slices: readonly EndpointSlice[], name: string): string {
  const all = slices.flatMap(({ endpoints = [], ports = [] }) => {
    const number = ports?.find((port) => (port.name ?? '') === name)?.port;
    const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
    return ready.flatMap(({ addresses }) =>
      addresses.map((address) => `${address}:${number ?? ''}`),
    );
  });
  if (all.length === 0) return '<none>';
  const more = all.length > SHOWN_MAX ? ` + ${all.length - SHOWN_MAX} more...` : '';
  return `${all.slice(0, SHOWN_MAX).join(',')}${more}`;
}
