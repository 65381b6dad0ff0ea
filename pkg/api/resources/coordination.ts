/** Leases, EndpointSlices, RuntimeClasses and PriorityClasses. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  oneOf,
  positive,
  required,
  requiredOneOf,
  tooMany,
} from '../field-errors.ts';
import type { EndpointSlice, Lease, PriorityClass, RuntimeClass } from '../generated/types.ts';
import { validateLabels } from '../meta-validation.ts';
import { dnsLabel, dnsSubdomain, portNumber } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, firstOf, integer, NAME, text, UNSET } from './columns.ts';
import { tolerationCauses } from './placement-validation.ts';
import { resourceCauses } from './quantity-validation.ts';
import { ipCauses } from './service-validation.ts';

const SHOWN_ENDPOINTS = 3;
const MAX_ENDPOINTS = 1000;
/** Users may not take priorities above it. */
const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_CLASSES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

export const leases: Resource<Lease> = {
  gvk: ['coordination.k8s.io', 'v1', 'Lease'],
  names: { plural: 'leases', singular: 'lease' },
  namespaced: true,
  type: 'io.k8s.api.coordination.v1.Lease',
  isVolatile: true,
  defaults: (lease) => fill(lease, { spec: {} }),
  validate: ({ spec }) => [
    ...positive('spec.leaseDurationSeconds', spec?.leaseDurationSeconds),
    ...((spec?.leaseTransitions ?? 0) < 0
      ? [
          invalidValue(
            'spec.leaseTransitions',
            spec?.leaseTransitions,
            'must be greater than or equal to 0',
          ),
        ]
      : []),
  ],
  columns: [NAME, text('Holder', ({ spec }) => spec?.holderIdentity ?? ''), AGE],
};

function sliceCauses({ addressType, endpoints, ports }: EndpointSlice): Causes {
  const types = ['FQDN', 'IPv4', 'IPv6'];
  return [
    ...requiredOneOf('addressType', addressType, types),
    ...(endpoints && endpoints.length > MAX_ENDPOINTS
      ? [tooMany('endpoints', endpoints.length, MAX_ENDPOINTS)]
      : []),
    ...each('endpoints', endpoints, ({ addresses }, path) => [
      ...(addresses?.length
        ? []
        : [required(`${path}.addresses`, 'must contain at least 1 address')]),
      ...each(`${path}.addresses`, addresses, (address, at) =>
        addressType === 'FQDN'
          ? invalidEach(at, address, dnsSubdomain(address))
          : ipCauses(at, address),
      ),
    ]),
    ...each('ports', ports, ({ name, port, protocol }, path) => [
      ...(name ? invalidEach(`${path}.name`, name, dnsLabel(name)) : []),
      ...(port === undefined ? [] : invalidEach(`${path}.port`, port, portNumber(port))),
      ...oneOf(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']),
    ]),
  ];
}

export const endpointslices: Resource<EndpointSlice> = {
  gvk: ['discovery.k8s.io', 'v1', 'EndpointSlice'],
  names: { plural: 'endpointslices', singular: 'endpointslice' },
  namespaced: true,
  type: 'io.k8s.api.discovery.v1.EndpointSlice',
  hasGeneration: true,
  defaults: (slice) =>
    change(fill(slice, { endpoints: [] }), {
      ports: eachItem((port) => fill(port, { name: '', protocol: 'TCP' })),
    }),
  validate: sliceCauses,
  validateUpdate: ({ addressType }, old) => immutable('addressType', addressType, old.addressType),
  columns: [
    NAME,
    text('AddressType', ({ addressType }) => addressType),
    text('Ports', ({ ports }) =>
      ports?.length
        ? firstOf(
            ports.map(({ port }) => (port ? String(port) : '*')),
            SHOWN_ENDPOINTS,
          )
        : UNSET,
    ),
    text('Endpoints', ({ endpoints }) => {
      const all = (endpoints ?? []).flatMap(({ addresses }) => addresses);
      return all.length > 0 ? firstOf(all, SHOWN_ENDPOINTS) : UNSET;
    }),
    AGE,
  ],
};

export const runtimeclasses: Resource<RuntimeClass> = {
  gvk: ['node.k8s.io', 'v1', 'RuntimeClass'],
  names: { plural: 'runtimeclasses', singular: 'runtimeclass' },
  namespaced: false,
  type: 'io.k8s.api.node.v1.RuntimeClass',
  validate: ({ handler, overhead, scheduling }) => [
    ...(handler ? invalidEach('handler', handler, dnsLabel(handler)) : [required('handler')]),
    ...resourceCauses('overhead', { limits: overhead?.podFixed ?? {} }),
    ...validateLabels('scheduling.nodeSelector', scheduling?.nodeSelector),
    ...each('scheduling.tolerations', scheduling?.tolerations, tolerationCauses),
  ],
  validateUpdate: ({ handler }, old) => immutable('handler', handler, old.handler),
  columns: [NAME, text('Handler', ({ handler }) => handler), AGE],
};

function priorityCauses({
  metadata,
  value = 0,
  globalDefault,
  preemptionPolicy,
}: PriorityClass): Causes {
  const policies = ['Never', 'PreemptLowerPriority'];
  const known = oneOf('preemptionPolicy', preemptionPolicy, policies);
  if (!metadata.name.startsWith('system-')) {
    const limit = `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`;
    return value > HIGHEST_USER_PRIORITY ? [forbiddenField('value', limit), ...known] : known;
  }
  if (SYSTEM_CLASSES[metadata.name] === value && !globalDefault) return known;
  const why =
    "priority class names with 'system-' prefix are reserved for system use only. error: " +
    `only system priority classes are allowed`;
  return [forbiddenField('metadata.name', why), ...known];
}

export const priorityclasses: Resource<PriorityClass> = {
  gvk: ['scheduling.k8s.io', 'v1', 'PriorityClass'],
  names: { plural: 'priorityclasses', singular: 'priorityclass', short: ['pc'] },
  namespaced: false,
  type: 'io.k8s.api.scheduling.v1.PriorityClass',
  hasGeneration: true,
  defaults: (priority) => fill(priority, { preemptionPolicy: 'PreemptLowerPriority' }),
  validate: priorityCauses,
  validateUpdate: (priority, old) => [
    ...(priority.value === old.value
      ? []
      : [forbiddenField('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy', priority.preemptionPolicy, old.preemptionPolicy),
  ],
  columns: [
    NAME,
    integer('Value', ({ value }) => value ?? 0),
    text('Global-Default', ({ globalDefault }) => String(globalDefault ?? false)),
    AGE,
    text('PreemptionPolicy', ({ preemptionPolicy }) => preemptionPolicy ?? ''),
  ],
};
