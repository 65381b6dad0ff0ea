/** Ingresses, IngressClasses, IPAddresses and ServiceCIDRs. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  IPAddress,
  ServiceCIDR,
} from '../generated/types.ts';
import { dns1035Label, dnsSubdomain, portName, portNumber } from '../names.ts';
import type { Column, Resource } from '../resource.ts';
import { AGE, joined, NAME, NONE, text } from './columns.ts';
import { cidrCauses, ipName } from './ip-validation.ts';

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];
const SHOWN_HOSTS = 3;

function hosts({ spec }: Ingress): string {
  const named = (spec.rules ?? []).flatMap(({ host }) => (host ? [host] : []));
  if (named.length === 0) return '*';
  const rest = named.length - SHOWN_HOSTS;
  return rest > 0 ? `${named.slice(0, SHOWN_HOSTS).join(',')} + ${rest} more...` : named.join(',');
}

function addresses({ status }: Ingress): string {
  const found = (status?.loadBalancer?.ingress ?? []).map(
    ({ ip, hostname }) => ip || hostname || '',
  );
  return found.filter((address) => address !== '').join(',');
}

const INGRESS_COLUMNS: readonly Column<Ingress>[] = [
  NAME,
  text('Class', ({ spec }) => spec.ingressClassName ?? NONE),
  text('Hosts', hosts),
  text('Address', addresses),
  text('Ports', ({ spec }) => (spec.tls?.length ? '80, 443' : '80')),
  AGE,
];

function backendCauses({ service, resource }: IngressBackend, path: string): Causes {
  if (resource && service)
    return [invalidValue(path, '', 'cannot set both resource and service backends')];
  if (resource) return resource.kind && resource.name ? [] : [required(`${path}.resource`)];
  if (!service) return [required(path, 'resource or service backend is required')];
  return serviceCauses(service, `${path}.service`);
}

function serviceCauses(
  { name, port }: NonNullable<IngressBackend['service']>,
  path: string,
): Causes {
  const hasName = Boolean(port?.name);
  const hasNumber = Boolean(port?.number);
  return [
    ...(name ? invalidEach(`${path}.name`, name, dns1035Label(name)) : [required(`${path}.name`)]),
    ...(hasName && hasNumber
      ? [invalidValue(path, '', 'cannot set both port name & port number')]
      : []),
    ...(hasName ? invalidEach(`${path}.port.name`, port?.name, portName(port?.name ?? '')) : []),
    ...(hasNumber
      ? invalidEach(`${path}.port.number`, port?.number, portNumber(port?.number ?? 0))
      : []),
    ...(hasName || hasNumber ? [] : [required(path, 'port name or number is required')]),
  ];
}

function pathCauses({ path, pathType, backend }: HTTPIngressPath, at: string): Causes {
  const isFree = pathType === 'ImplementationSpecific';
  const wrong = path !== undefined && path !== '' && !path.startsWith('/');
  const bad = ['//', '/./', '/../', '%2f', '%2F'].find((part) => !isFree && path?.includes(part));
  return [
    ...(pathType ? [] : [required(`${at}.pathType`, 'pathType must be specified')]),
    ...(pathType ? oneOf(`${at}.pathType`, pathType, PATH_TYPES) : []),
    ...(wrong || (!isFree && !path)
      ? [invalidValue(`${at}.path`, path ?? '', 'must be an absolute path')]
      : []),
    ...(bad ? [invalidValue(`${at}.path`, path, `must not contain '${bad}'`)] : []),
    ...(backend ? backendCauses(backend, `${at}.backend`) : [required(`${at}.backend`)]),
  ];
}

function hostCauses(host: string | undefined, path: string): Causes {
  if (!host) return [];
  const name = host.startsWith('*.') ? host.slice(2) : host;
  return invalidEach(path, host, dnsSubdomain(name));
}

function ruleCauses({ host, http }: IngressRule, path: string): Causes {
  return [
    ...hostCauses(host, `${path}.host`),
    ...(http && !http.paths?.length ? [required(`${path}.http.paths`)] : []),
    ...each(`${path}.http.paths`, http?.paths, pathCauses),
  ];
}

function ingressCauses({ spec }: Ingress): Causes {
  const isEmpty = !spec.defaultBackend && !spec.rules?.length;
  return [
    ...(isEmpty
      ? [invalidValue('spec', [], 'either `defaultBackend` or `rules` must be specified')]
      : []),
    ...(spec.defaultBackend ? backendCauses(spec.defaultBackend, 'spec.defaultBackend') : []),
    ...each('spec.rules', spec.rules, ruleCauses),
    ...each('spec.tls', spec.tls, ({ hosts: names }, path) =>
      each(`${path}.hosts`, names, hostCauses),
    ),
    ...(spec.ingressClassName
      ? invalidEach(
          'spec.ingressClassName',
          spec.ingressClassName,
          dnsSubdomain(spec.ingressClassName),
        )
      : []),
  ];
}

export const ingresses: Resource<Ingress> = {
  gvk: ['networking.k8s.io', 'v1', 'Ingress'],
  names: { plural: 'ingresses', singular: 'ingress', short: ['ing'] },
  namespaced: true,
  type: 'io.k8s.api.networking.v1.Ingress',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (ingress) => fill(ingress, { spec: {}, status: { loadBalancer: {} } }),
  prepareForCreate: (ingress) => ({ ...ingress, status: { loadBalancer: {} } }),
  validate: ingressCauses,
  columns: INGRESS_COLUMNS,
};

function parameters({ spec }: IngressClass): string {
  const found = spec?.parameters;
  if (!found) return NONE;
  return `${found.kind}${found.apiGroup ? `.${found.apiGroup}` : ''}/${found.name}`;
}

export const ingressclasses: Resource<IngressClass> = {
  gvk: ['networking.k8s.io', 'v1', 'IngressClass'],
  names: { plural: 'ingressclasses', singular: 'ingressclass' },
  namespaced: false,
  type: 'io.k8s.api.networking.v1.IngressClass',
  hasGeneration: true,
  defaults: (object) =>
    change(fill(object, { spec: {} }), {
      spec: (spec) => change(spec, { parameters: (given) => fill(given, { scope: 'Cluster' }) }),
    }),
  validate: ({ spec }) => [
    ...(spec?.controller ? [] : [required('spec.controller')]),
    ...(spec?.parameters
      ? [
          ...(spec.parameters.kind ? [] : [required('spec.parameters.kind')]),
          ...(spec.parameters.name ? [] : [required('spec.parameters.name')]),
          ...requiredOneOf('spec.parameters.scope', spec.parameters.scope, [
            'Cluster',
            'Namespace',
          ]),
          ...(spec.parameters.scope === 'Cluster' && spec.parameters.namespace
            ? [
                forbiddenField(
                  'spec.parameters.namespace',
                  "`parameters.scope` is set to 'Cluster'",
                ),
              ]
            : []),
        ]
      : []),
  ],
  validateUpdate: ({ spec }, old) =>
    immutable('spec.controller', spec?.controller, old.spec?.controller),
  columns: [
    NAME,
    text('Controller', ({ spec }) => spec?.controller ?? ''),
    text('Parameters', parameters),
    AGE,
  ],
};

/** "services/default/kubernetes": what an address belongs to. */
function parentOf({ spec }: IPAddress): string {
  const parent = spec?.parentRef;
  if (!parent) return NONE;
  const kind = parent.group ? `${parent.resource}.${parent.group}` : parent.resource;
  return [kind, ...(parent.namespace ? [parent.namespace] : []), parent.name].join('/');
}

export const ipaddresses: Resource<IPAddress> = {
  gvk: ['networking.k8s.io', 'v1', 'IPAddress'],
  names: { plural: 'ipaddresses', singular: 'ipaddress', short: ['ip'] },
  namespaced: false,
  type: 'io.k8s.api.networking.v1.IPAddress',
  fields: { 'spec.parentRef.name': ({ spec }) => spec?.parentRef?.name ?? '' },
  validateName: ipName,
  validate: ({ spec }) => [
    ...(spec?.parentRef ? [] : [required('spec.parentRef')]),
    ...(spec?.parentRef && !spec.parentRef.resource ? [required('spec.parentRef.resource')] : []),
    ...(spec?.parentRef && !spec.parentRef.name ? [required('spec.parentRef.name')] : []),
  ],
  validateUpdate: ({ spec }, old) =>
    immutable('spec.parentRef', spec?.parentRef, old.spec?.parentRef),
  columns: [NAME, text('ParentRef', parentOf)],
};

export const servicecidrs: Resource<ServiceCIDR> = {
  gvk: ['networking.k8s.io', 'v1', 'ServiceCIDR'],
  names: { plural: 'servicecidrs', singular: 'servicecidr' },
  namespaced: false,
  type: 'io.k8s.api.networking.v1.ServiceCIDR',
  subresources: ['status'],
  defaults: (object) => fill(object, { status: {} }),
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate: ({ spec }) => [
    ...(spec?.cidrs?.length ? [] : [required('spec.cidrs', 'at least one CIDR required')]),
    ...each('spec.cidrs', spec?.cidrs, (cidr, path) => cidrCauses(path, cidr)),
  ],
  validateUpdate: ({ spec }, old) =>
    immutable('spec.cidrs[0]', spec?.cidrs?.[0], old.spec?.cidrs?.[0]),
  columns: [NAME, text('CIDRs', ({ spec }) => joined(spec?.cidrs)), AGE],
};
