/** PersistentVolumes and their claims. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  isSame,
  oneOf,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
} from '../generated/types.ts';
import { dnsSubdomain } from '../names.ts';
import { compareQuantities } from '../quantity.ts';
import type { Column, Resource } from '../resource.ts';
import { volumeSources } from '../volume-binding.ts';
import { AGE, NAME, text, UNSET, wide } from './columns.ts';
import { quantityDefaults } from './pod-defaults.ts';
import { quantityCauses } from './quantity-validation.ts';
import { validateSelector } from './selector-validation.ts';
import { claimDefaults } from './volume-claim-defaults.ts';

const MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const VOLUME_MODES = ['Block', 'Filesystem'];
const SHORT: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';

function modes(list: readonly string[] | undefined): string {
  return Object.keys(SHORT)
    .filter((mode) => list?.includes(mode))
    .map((mode) => SHORT[mode])
    .join(',');
}

function classOf({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.[BETA_CLASS] ?? spec.storageClassName ?? '';
}

function phaseOf(object: PersistentVolume | PersistentVolumeClaim): string {
  return object.metadata.deletionTimestamp ? 'Terminating' : (object.status?.phase ?? '');
}

const VOLUME_COLUMNS: readonly Column<PersistentVolume>[] = [
  NAME,
  text('Capacity', ({ spec }) => spec.capacity?.['storage'] ?? ''),
  text('Access Modes', ({ spec }) => modes(spec.accessModes)),
  text('Reclaim Policy', ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ''),
  text('Status', phaseOf),
  text('Claim', ({ spec: { claimRef } }) =>
    claimRef ? `${claimRef.namespace}/${claimRef.name}` : '',
  ),
  text('StorageClass', classOf),
  text('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? UNSET),
  text('Reason', ({ status }) => status?.reason ?? ''),
  AGE,
  wide(text('VolumeMode', ({ spec }) => spec.volumeMode ?? UNSET)),
];

function validateVolume({ spec }: PersistentVolume): Causes {
  const sources = volumeSources(spec);
  return [
    ...accessModeCauses(spec.accessModes),
    ...(spec.capacity?.['storage'] ? [] : [required('spec.capacity')]),
    ...quantityCauses('spec.capacity', spec.capacity),
    ...(sources.length === 0 ? [required('spec', 'must specify a volume type')] : []),
    ...sources
      .slice(1)
      .map((source) => forbiddenField(`spec.${source}`, 'may not specify more than 1 volume type')),
    ...oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, [
      'Delete',
      'Recycle',
      'Retain',
    ]),
    ...oneOf('spec.volumeMode', spec.volumeMode, VOLUME_MODES),
    ...(spec.local && !spec.nodeAffinity
      ? [required('spec.nodeAffinity', 'Local volume requires node affinity')]
      : []),
    ...classNameCauses(spec.storageClassName),
  ];
}

function accessModeCauses(list: readonly string[] | undefined): Causes {
  if (!list?.length) return [required('spec.accessModes')];
  const isExclusive = list.includes('ReadWriteOncePod') && list.length > 1;
  return [
    ...list.flatMap((mode) => oneOf('spec.accessModes', mode, MODES)),
    ...(isExclusive
      ? [forbiddenField('spec.accessModes', 'may not use ReadWriteOncePod with other access modes')]
      : []),
  ];
}

function classNameCauses(name: string | undefined): Causes {
  return name ? invalidEach('spec.storageClassName', name, dnsSubdomain(name)) : [];
}

function validateVolumeUpdate({ spec }: PersistentVolume, { spec: old }: PersistentVolume): Causes {
  const isSourceKept = [...new Set([...volumeSources(spec), ...volumeSources(old)])].every(
    (source) =>
      isSame(
        Object.entries(spec).find(([key]) => key === source),
        Object.entries(old).find(([key]) => key === source),
      ),
  );
  return [
    ...(isSourceKept
      ? []
      : [
          forbiddenField(
            'spec.persistentvolumesource',
            'spec.persistentvolumesource is immutable after creation',
          ),
        ]),
    ...immutable('spec.volumeMode', spec.volumeMode, old.volumeMode),
    ...(old.nodeAffinity
      ? immutable('spec.nodeAffinity', spec.nodeAffinity, old.nodeAffinity)
      : []),
  ];
}

export const persistentvolumes: Resource<PersistentVolume> = {
  gvk: ['', 'v1', 'PersistentVolume'],
  names: { plural: 'persistentvolumes', singular: 'persistentvolume', short: ['pv'] },
  namespaced: false,
  type: 'io.k8s.api.core.v1.PersistentVolume',
  subresources: ['status'],
  defaults: (volume) =>
    change(fill(volume, { status: {} }), {
      status: (status) => fill(status, { phase: 'Pending' }),
      spec: (spec) =>
        change(fill(spec, { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' }), {
          capacity: quantityDefaults,
          hostPath: (path) => fill(path, { type: '' }),
        }),
    }),
  prepareForCreate: (volume) => ({ ...volume, status: { phase: 'Pending' } }),
  validate: validateVolume,
  validateUpdate: validateVolumeUpdate,
  columns: VOLUME_COLUMNS,
};

const CLAIM_COLUMNS: readonly Column<PersistentVolumeClaim>[] = [
  NAME,
  text('Status', phaseOf),
  text('Volume', ({ spec }) => spec.volumeName ?? ''),
  text('Capacity', ({ spec, status }) =>
    spec.volumeName ? (status?.capacity?.['storage'] ?? '0') : '',
  ),
  text('Access Modes', ({ spec, status }) => (spec.volumeName ? modes(status?.accessModes) : '')),
  text('StorageClass', classOf),
  text('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? UNSET),
  AGE,
  wide(text('VolumeMode', ({ spec }) => spec.volumeMode ?? UNSET)),
];

/** Checks a claim's spec, of a claim or of a template of one. */
export function claimSpecCauses(spec: PersistentVolumeClaimSpec, field: string): Causes {
  const storage = spec.resources?.requests?.['storage'];
  const known = quantityCauses(`${field}.resources.requests`, spec.resources?.requests);
  const isZero =
    storage !== undefined && known.length === 0 && compareQuantities(storage, '0') <= 0;
  return [
    ...(spec.accessModes?.length
      ? []
      : [required(`${field}.accessModes`, 'at least 1 access mode is required')]),
    ...(spec.accessModes ?? []).flatMap((mode) => oneOf(`${field}.accessModes`, mode, MODES)),
    ...validateSelector(`${field}.selector`, spec.selector),
    ...(storage === undefined ? [required(`${field}.resources[storage]`)] : []),
    ...known,
    ...(isZero
      ? [invalidValue(`${field}.resources[storage]`, storage, 'must be greater than zero')]
      : []),
    ...requiredOneOf(`${field}.volumeMode`, spec.volumeMode, VOLUME_MODES),
    ...(spec.storageClassName
      ? invalidEach(
          `${field}.storageClassName`,
          spec.storageClassName,
          dnsSubdomain(spec.storageClassName),
        )
      : []),
  ];
}

const CLAIM_FIXED =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** Of a bound claim's spec only the size and the class of attributes change; the binder fills in what was empty. */
function validateClaimUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): Causes {
  const { spec } = claim;
  const before = old.spec;
  const isBound = old.status?.phase === 'Bound' && claim.status?.phase === 'Bound';
  const kept: Record<string, unknown> = { ...spec };
  if (isBound) {
    kept['resources'] = before.resources;
    kept['volumeAttributesClassName'] = before.volumeAttributesClassName;
  }
  if (!before.volumeName) kept['volumeName'] = before.volumeName;
  if (before.storageClassName === undefined) kept['storageClassName'] = undefined;
  return [
    ...(isSame(kept, before) ? [] : [forbiddenField('spec', CLAIM_FIXED)]),
    ...(isBound ? sizeCauses(claim, old) : []),
  ];
}

/** It may ask for less again only as long as the volume has not grown so far. */
function sizeCauses(now: PersistentVolumeClaim, old: PersistentVolumeClaim): Causes {
  const asked = requestOf(now);
  if (compareQuantities(asked, requestOf(old)) >= 0) return [];
  if (compareQuantities(asked, old.status?.capacity?.['storage'] ?? '0') > 0) return [];
  const why = 'field can not be less than status.capacity';
  return [forbiddenField('spec.resources.requests.storage', why)];
}

function requestOf({ spec }: PersistentVolumeClaim): string {
  return spec.resources?.requests?.['storage'] ?? '0';
}

export const persistentvolumeclaims: Resource<PersistentVolumeClaim> = {
  gvk: ['', 'v1', 'PersistentVolumeClaim'],
  names: { plural: 'persistentvolumeclaims', singular: 'persistentvolumeclaim', short: ['pvc'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.PersistentVolumeClaim',
  subresources: ['status'],
  defaults: (claim) => claimDefaults(claim),
  prepareForCreate: (claim) => ({ ...claim, status: { phase: 'Pending' } }),
  validate: ({ spec }) => claimSpecCauses(spec, 'spec'),
  validateUpdate: validateClaimUpdate,
  columns: CLAIM_COLUMNS,
};
