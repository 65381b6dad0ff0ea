/** Dynamic resource allocation: device classes, claims and slices. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  immutable,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  unique,
} from '../field-errors.ts';
import type {
  DeviceClass,
  DeviceRequest,
  ExactDeviceRequest,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
  ResourceSlice,
} from '../generated/types.ts';
import { dnsLabel, dnsSubdomain } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, NAME, NAME_AND_AGE, text } from './columns.ts';

const GROUP = 'resource.k8s.io';
const MODES = ['All', 'ExactCount'];
const ALL_NODES = '<all>';

function exactDefaults<T extends Pick<ExactDeviceRequest, 'allocationMode' | 'count'>>(
  request: T,
): T {
  const moded = request.allocationMode ? request : { ...request, allocationMode: 'ExactCount' };
  return moded.allocationMode === 'ExactCount' && moded.count === undefined
    ? { ...moded, count: 1 }
    : moded;
}

function claimSpecDefaults(spec: ResourceClaimSpec): ResourceClaimSpec {
  return change(spec, {
    devices: (devices) =>
      change(devices, {
        requests: eachItem((request) =>
          change(request, { exactly: exactDefaults, firstAvailable: eachItem(exactDefaults) }),
        ),
      }),
  });
}

function requestCauses({ name, exactly, firstAvailable }: DeviceRequest, path: string): Causes {
  const isOne = Boolean(exactly) !== Boolean(firstAvailable?.length);
  return [
    ...(name ? invalidEach(`${path}.name`, name, dnsLabel(name)) : [required(`${path}.name`)]),
    ...(isOne ? [] : [required(path, 'exactly one of `exactly` or `firstAvailable` is required')]),
    ...(exactly ? exactCauses(exactly, `${path}.exactly`) : []),
    ...each(`${path}.firstAvailable`, firstAvailable, exactCauses),
  ];
}

type Exact = Pick<ExactDeviceRequest, 'deviceClassName' | 'allocationMode' | 'count'>;

function exactCauses({ deviceClassName, allocationMode, count }: Exact, path: string): Causes {
  const isCount = allocationMode !== 'ExactCount' || (count ?? 0) > 0;
  return [
    ...(deviceClassName
      ? invalidEach(`${path}.deviceClassName`, deviceClassName, dnsSubdomain(deviceClassName))
      : [required(`${path}.deviceClassName`)]),
    ...oneOf(`${path}.allocationMode`, allocationMode, MODES),
    ...(isCount ? [] : [invalidValue(`${path}.count`, count, 'must be greater than zero')]),
  ];
}

function claimCauses(spec: ResourceClaimSpec | undefined, field: string): Causes {
  const requests = spec?.devices?.requests;
  return [
    ...each(`${field}.devices.requests`, requests, requestCauses),
    ...unique(
      requests,
      ({ name }) => name,
      (index) => `${field}.devices.requests[${index}].name`,
    ),
  ];
}

function stateOf({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp) states.push('deleted');
  if (!status?.allocation) return [...states, ...(states.length > 0 ? [] : ['pending'])].join(',');
  states.push('allocated');
  if (status.reservedFor?.length) states.push('reserved');
  return states.join(',');
}

export const deviceclasses: Resource<DeviceClass> = {
  gvk: [GROUP, 'v1', 'DeviceClass'],
  names: { plural: 'deviceclasses', singular: 'deviceclass' },
  namespaced: false,
  type: 'io.k8s.api.resource.v1.DeviceClass',
  hasGeneration: true,
  defaults: (object) => fill(object, { spec: {} }),
  validate: ({ spec }) =>
    each('spec.selectors', spec?.selectors, ({ cel }, path) =>
      cel?.expression ? [] : [required(`${path}.cel`)],
    ),
  columns: NAME_AND_AGE,
};

export const resourceclaims: Resource<ResourceClaim> = {
  gvk: [GROUP, 'v1', 'ResourceClaim'],
  names: { plural: 'resourceclaims', singular: 'resourceclaim' },
  namespaced: true,
  type: 'io.k8s.api.resource.v1.ResourceClaim',
  subresources: ['status'],
  defaults: (claim) => change(fill(claim, { spec: {}, status: {} }), { spec: claimSpecDefaults }),
  prepareForCreate: (claim) => ({ ...claim, status: {} }),
  validate: ({ spec }) => claimCauses(spec, 'spec'),
  validateUpdate: ({ spec }, old) => immutable('spec', spec, old.spec),
  columns: [NAME, text('State', stateOf), AGE],
};

export const resourceclaimtemplates: Resource<ResourceClaimTemplate> = {
  gvk: [GROUP, 'v1', 'ResourceClaimTemplate'],
  names: { plural: 'resourceclaimtemplates', singular: 'resourceclaimtemplate' },
  namespaced: true,
  type: 'io.k8s.api.resource.v1.ResourceClaimTemplate',
  defaults: (template) =>
    change(template, { spec: (spec) => change(spec, { spec: claimSpecDefaults }) }),
  validate: ({ spec }) => claimCauses(spec?.spec, 'spec.spec'),
  validateUpdate: ({ spec }, old) => immutable('spec', spec, old.spec),
  columns: NAME_AND_AGE,
};

export const resourceslices: Resource<ResourceSlice> = {
  gvk: [GROUP, 'v1', 'ResourceSlice'],
  names: { plural: 'resourceslices', singular: 'resourceslice' },
  namespaced: false,
  type: 'io.k8s.api.resource.v1.ResourceSlice',
  hasGeneration: true,
  fields: {
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
    'spec.driver': ({ spec }) => spec.driver ?? '',
  },
  validate: ({ spec }) => {
    const chosen = [spec.nodeName, spec.nodeSelector, spec.allNodes, spec.perDeviceNodeSelection];
    const isOne = chosen.filter(Boolean).length === 1;
    const why =
      'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
    return [
      ...(spec.driver
        ? invalidEach('spec.driver', spec.driver, dnsSubdomain(spec.driver))
        : [required('spec.driver')]),
      ...(spec.pool?.name ? [] : [required('spec.pool.name')]),
      ...(isOne ? [] : [invalidValue('spec', '{}', why)]),
    ];
  },
  validateUpdate: ({ spec }, old) => [
    ...immutable('spec.driver', spec.driver, old.spec.driver),
    ...immutable('spec.pool.name', spec.pool?.name, old.spec.pool?.name),
    ...immutable('spec.nodeName', spec.nodeName, old.spec.nodeName),
  ],
  columns: [
    NAME,
    text('Node', ({ spec }) => spec.nodeName ?? (spec.allNodes ? ALL_NODES : '<unset>')),
    text('Driver', ({ spec }) => spec.driver),
    text('Pool', ({ spec }) => spec.pool.name),
    AGE,
  ],
};
