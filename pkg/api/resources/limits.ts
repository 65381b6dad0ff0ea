/** LimitRanges and ResourceQuotas. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  immutable,
  invalidValue,
  isSame,
  notSupported,
  requiredName,
} from '../field-errors.ts';
import type { LimitRange, LimitRangeItem, ResourceQuota } from '../generated/types.ts';
import { qualifiedName } from '../names.ts';
import { compareQuantities } from '../quantity.ts';
import type { Column, Resource } from '../resource.ts';
import { AGE, DEFAULT_COLUMNS, NAME, text } from './columns.ts';
import { quantityDefaults } from './pod-defaults.ts';
import { quantityCauses } from './quantity-validation.ts';

type Quantities = Readonly<Record<string, string>>;
const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

/** What is absent follows: the default limit from max; the default request from that limit, then from min. */
function itemDefaults(item: LimitRangeItem): LimitRangeItem {
  const canonical = change(item, {
    default: quantityDefaults,
    defaultRequest: quantityDefaults,
    max: quantityDefaults,
    min: quantityDefaults,
    maxLimitRequestRatio: quantityDefaults,
  });
  if (canonical.type !== 'Container') return canonical;
  const limits: Quantities = { ...canonical.max, ...canonical.default };
  const requests: Quantities = { ...canonical.min, ...limits, ...canonical.defaultRequest };
  const next = { ...canonical, default: limits, defaultRequest: requests };
  return isSame(next, canonical) ? canonical : next;
}

function itemCauses(item: LimitRangeItem, path: string): Causes {
  const { min = {}, max = {}, default: limit = {}, defaultRequest: request = {} } = item;
  const syntax = Object.entries({ min, max, default: limit, defaultRequest: request }).flatMap(
    ([name, list]) => quantityCauses(`${path}.${name}`, list),
  );
  if (syntax.length > 0) return syntax;
  return [
    ...requiredName(`${path}.type`, item.type, () => []),
    ...ordered(`${path}.min`, ['min', min], ['max', max]),
    ...ordered(`${path}.defaultRequest`, ['min', min], ['default request', request]),
    ...ordered(`${path}.defaultRequest`, ['default request', request], ['max', max]),
    ...ordered(`${path}.defaultRequest`, ['default request', request], ['default', limit]),
    ...ordered(`${path}.default`, ['min', min], ['default', limit]),
    ...ordered(`${path}.default`, ['default', limit], ['max', max]),
  ];
}

function ordered(
  field: string,
  [low, less]: [string, Quantities],
  [high, more]: [string, Quantities],
): Causes {
  return Object.entries(less).flatMap(([name, value]) => {
    const above = more[name];
    return above !== undefined && compareQuantities(value, above) > 0
      ? [
          invalidValue(
            `${field}[${name}]`,
            value,
            `${low} value ${value} is greater than ${high} value ${above}`,
          ),
        ]
      : [];
  });
}

export const limitranges: Resource<LimitRange> = {
  gvk: ['', 'v1', 'LimitRange'],
  names: { plural: 'limitranges', singular: 'limitrange', short: ['limits'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.LimitRange',
  defaults: (range) =>
    change(range, { spec: (spec) => change(spec, { limits: eachItem(itemDefaults) }) }),
  validate: ({ spec }) => each('spec.limits', spec.limits, itemCauses),
  columns: DEFAULT_COLUMNS,
};

/** "cpu: 1/2, pods: 3/10" of those resources that the filter takes. */
function usage({ spec, status }: ResourceQuota, isLimit: boolean): string {
  const hard = status?.hard ?? spec?.hard ?? {};
  return Object.keys(hard)
    .filter((name) => name.startsWith('limits.') === isLimit)
    .toSorted()
    .map((name) => `${name}: ${status?.used?.[name] ?? '0'}/${hard[name]}`)
    .join(', ');
}

const QUOTA_COLUMNS: readonly Column<ResourceQuota>[] = [
  NAME,
  text('Request', (quota) => usage(quota, false)),
  text('Limit', (quota) => usage(quota, true)),
  AGE,
];

export const resourcequotas: Resource<ResourceQuota> = {
  gvk: ['', 'v1', 'ResourceQuota'],
  names: { plural: 'resourcequotas', singular: 'resourcequota', short: ['quota'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.ResourceQuota',
  subresources: ['status'],
  defaults: (quota) =>
    change(fill(quota, { spec: {}, status: {} }), {
      spec: (spec) => change(spec, { hard: quantityDefaults }),
    }),
  prepareForCreate: (quota) => ({ ...quota, status: {} }),
  validate: ({ spec }) => [
    ...Object.keys(spec?.hard ?? {}).flatMap((name) =>
      requiredName(`spec.hard[${name}]`, name, qualifiedName),
    ),
    ...quantityCauses('spec.hard', spec?.hard),
    ...(spec?.scopes ?? []).flatMap((scope) =>
      SCOPES.includes(scope) ? [] : [notSupported('spec.scopes', scope, SCOPES)],
    ),
  ],
  validateUpdate: ({ spec }, old) => immutable('spec.scopes', spec?.scopes, old.spec?.scopes),
  columns: QUOTA_COLUMNS,
};
