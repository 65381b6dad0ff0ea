/** Namespaces, ConfigMaps, Secrets, ServiceAccounts, and the core kinds that clients only post. */

import { change, fill, without } from '../defaulting.ts';
import {
  type Causes,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  isSame,
  required,
  tooLong,
} from '../field-errors.ts';
import type {
  Binding,
  ComponentStatus,
  ConfigMap,
  Namespace,
  Secret,
  ServiceAccount,
} from '../generated/types.ts';
import { configKey, dnsLabel } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, integer, NAME, NAME_AND_AGE, text } from './columns.ts';

/** Data of a ConfigMap or Secret. */
const DATA_LIMIT_BYTES = 1024 * 1024;

export const namespaces: Resource<Namespace> = {
  gvk: ['', 'v1', 'Namespace'],
  names: { plural: 'namespaces', singular: 'namespace', short: ['ns'] },
  namespaced: false,
  type: 'io.k8s.api.core.v1.Namespace',
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: ['finalize', 'status'],
  fields: { 'status.phase': ({ status }) => status?.phase ?? '' },
  validateName: dnsLabel,
  defaults: (namespace) => {
    const { metadata } = namespace;
    const filled = fill(namespace, { spec: {}, status: {} });
    if (metadata.labels?.['kubernetes.io/metadata.name'] === metadata.name || !metadata.name)
      return filled;
    const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
    return { ...filled, metadata: { ...metadata, labels } };
  },
  prepareForCreate: (namespace) => ({
    ...namespace,
    spec: {
      ...namespace.spec,
      finalizers: [...new Set([...(namespace.spec?.finalizers ?? []), 'kubernetes'])],
    },
    status: { phase: 'Active' },
  }),
  // Only the finalize subresource may take the namespace's own finalizers away.
  prepareForUpdate: (namespace, old) => ({
    ...namespace,
    spec: { ...namespace.spec, ...old.spec },
  }),
  validate: () => [],
  columns: [NAME, text('Status', ({ status }) => status?.phase ?? ''), AGE],
};

type Data = Readonly<Record<string, string>> | undefined;

function dataCauses(field: string, data: Data): Causes {
  return Object.keys(data ?? {}).flatMap((key) =>
    invalidEach(`${field}[${key}]`, key, configKey(key)),
  );
}

function sizeOf(data: Data, unit: number): number {
  return Object.values(data ?? {}).reduce((sum, value) => sum + Buffer.byteLength(value) * unit, 0);
}

interface Sealed {
  readonly immutable?: boolean;
  readonly data?: Data;
  readonly binaryData?: Data;
}

/** What was marked immutable keeps the mark and its data. */
function sealedCauses(now: Sealed, old: Sealed): Causes {
  if (!old.immutable) return [];
  const why = 'field is immutable when `immutable` is set';
  return [
    ...(now.immutable ? [] : [forbiddenField('immutable', why)]),
    ...(isSame(now.data, old.data) ? [] : [forbiddenField('data', why)]),
    ...(isSame(now.binaryData, old.binaryData) ? [] : [forbiddenField('binaryData', why)]),
  ];
}

export const configmaps: Resource<ConfigMap> = {
  gvk: ['', 'v1', 'ConfigMap'],
  names: { plural: 'configmaps', singular: 'configmap', short: ['cm'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.ConfigMap',
  validate: ({ data, binaryData }) => [
    ...dataCauses('data', data),
    ...dataCauses('binaryData', binaryData),
    ...Object.keys(binaryData ?? {})
      .filter((key) => data?.[key] !== undefined)
      .map((key) => invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData')),
    ...(sizeOf(data, 1) + sizeOf(binaryData, 0.75) > DATA_LIMIT_BYTES
      ? [tooLong('', DATA_LIMIT_BYTES)]
      : []),
  ],
  validateUpdate: sealedCauses,
  columns: [
    NAME,
    integer('Data', ({ data, binaryData }) => Object.keys({ ...data, ...binaryData }).length),
    AGE,
  ],
};

/** Keys that a Secret of a well-known type must have. */
const SECRET_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

const ACCOUNT_NAME = 'kubernetes.io/service-account.name';

function secretTypeCauses({ type = '', data, metadata }: Secret): Causes {
  if (type === 'kubernetes.io/service-account-token' && !metadata.annotations?.[ACCOUNT_NAME]) {
    return [required(`metadata.annotations[${ACCOUNT_NAME}]`)];
  }
  if (
    type === 'kubernetes.io/basic-auth' &&
    data?.['username'] === undefined &&
    data?.['password'] === undefined
  ) {
    return [required('data[username]'), required('data[password]')];
  }
  return (SECRET_KEYS[type] ?? []).flatMap((key) => {
    const value = data?.[key];
    if (value === undefined) return [required(`data[${key}]`)];
    return key.startsWith('.docker') ? jsonCauses(`data[${key}]`, value) : [];
  });
}

function jsonCauses(field: string, base64: string): Causes {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString());
    return [];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [invalidValue(field, '<secret contents redacted>', why)];
  }
}

/** Clients may write text; what is kept is base64. */
function secretData(secret: Secret): Secret {
  const { stringData } = secret;
  if (!stringData) return without(secret, 'stringData');
  const encoded = Object.entries(stringData).map(([key, value]): [string, string] => [
    key,
    Buffer.from(value).toString('base64'),
  ]);
  return without(
    { ...secret, data: { ...secret.data, ...Object.fromEntries(encoded) } },
    'stringData',
  );
}

export const secrets: Resource<Secret> = {
  gvk: ['', 'v1', 'Secret'],
  names: { plural: 'secrets', singular: 'secret' },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Secret',
  fields: { type: ({ type }) => type ?? '' },
  defaults: (secret) => fill(secret, { type: 'Opaque' }),
  prepareForCreate: secretData,
  // As in Kubernetes, a replacement that names no type keeps the one it had.
  prepareForUpdate: (secret, old) =>
    secretData(secret.type ? secret : { ...secret, type: old.type ?? 'Opaque' }),
  validate: (secret) => [
    ...dataCauses('data', secret.data),
    ...(sizeOf(secret.data, 0.75) > DATA_LIMIT_BYTES ? [tooLong('data', DATA_LIMIT_BYTES)] : []),
    ...secretTypeCauses(secret),
  ],
  validateUpdate: (secret, old) => [
    ...immutable('type', secret.type, old.type),
    ...sealedCauses(secret, old),
  ],
  columns: [
    NAME,
    text('Type', ({ type }) => type ?? ''),
    integer('Data', ({ data }) => Object.keys(data ?? {}).length),
    AGE,
  ],
};

export const serviceaccounts: Resource<ServiceAccount> = {
  gvk: ['', 'v1', 'ServiceAccount'],
  names: { plural: 'serviceaccounts', singular: 'serviceaccount', short: ['sa'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.ServiceAccount',
  subresources: ['token'],
  validate: () => [],
  columns: NAME_AND_AGE,
};

export const bindings: Resource<Binding> = {
  gvk: ['', 'v1', 'Binding'],
  names: { plural: 'bindings', singular: 'binding' },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Binding',
  verbs: ['create'],
  defaults: (binding) => change(binding, { target: (target) => fill(target, { kind: 'Node' }) }),
  validate: ({ target }) => (target?.name ? [] : [required('target.name')]),
  columns: NAME_AND_AGE,
};

export const componentstatuses: Resource<ComponentStatus> = {
  gvk: ['', 'v1', 'ComponentStatus'],
  names: { plural: 'componentstatuses', singular: 'componentstatus', short: ['cs'] },
  namespaced: false,
  type: 'io.k8s.api.core.v1.ComponentStatus',
  verbs: ['get', 'list'],
  validate: () => [],
  columns: [
    NAME,
    text('Status', ({ conditions }) => {
      const healthy = conditions?.find(({ type }) => type === 'Healthy');
      return healthy ? (healthy.status === 'True' ? 'Healthy' : 'Unhealthy') : 'Unknown';
    }),
    text(
      'Message',
      ({ conditions }) => conditions?.find(({ type }) => type === 'Healthy')?.message ?? '',
    ),
    text(
      'Error',
      ({ conditions }) => conditions?.find(({ type }) => type === 'Healthy')?.error ?? '',
    ),
  ],
};
