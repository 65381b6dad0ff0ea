/** StorageClasses, CSI drivers, nodes and capacities, VolumeAttachments and VolumeAttributesClasses. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidEach,
  isSame,
  oneOf,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../generated/types.ts';
import { dnsSubdomain, qualifiedName } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, DEFAULT_COLUMNS, integer, joined, NAME, text, UNSET } from './columns.ts';
import { oneQuantity } from './quantity-validation.ts';

const GROUP = 'storage.k8s.io';
const IS_DEFAULT = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

function isDefault({ metadata }: StorageClass): boolean {
  return IS_DEFAULT.some((key) => metadata.annotations?.[key] === 'true');
}

/** What a class says never changes: volumes were made by it. */
function fixedFields<T extends object>(
  fields: readonly (keyof T & string)[],
): (now: T, old: T) => Causes {
  return (now, old) =>
    fields.flatMap((field) =>
      isSame(now[field], old[field])
        ? []
        : [forbiddenField(field, `updates to ${field} are forbidden.`)],
    );
}

export const storageclasses: Resource<StorageClass> = {
  gvk: [GROUP, 'v1', 'StorageClass'],
  names: { plural: 'storageclasses', singular: 'storageclass', short: ['sc'] },
  namespaced: false,
  type: 'io.k8s.api.storage.v1.StorageClass',
  defaults: (object) => fill(object, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
  validate: ({ provisioner, reclaimPolicy, volumeBindingMode }) => [
    ...(provisioner
      ? invalidEach('provisioner', provisioner, qualifiedName(provisioner.toLowerCase()))
      : [required('provisioner')]),
    ...oneOf('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']),
    ...requiredOneOf('volumeBindingMode', volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
  ],
  validateUpdate: (now, old) => [
    ...fixedFields<StorageClass>(['parameters', 'provisioner', 'reclaimPolicy'])(now, old),
    ...immutable('volumeBindingMode', now.volumeBindingMode, old.volumeBindingMode),
  ],
  columns: [
    {
      ...NAME,
      cell: (object) => `${object.metadata.name}${isDefault(object) ? ' (default)' : ''}`,
    },
    text('Provisioner', ({ provisioner }) => provisioner),
    text('ReclaimPolicy', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete'),
    text('VolumeBindingMode', ({ volumeBindingMode }) => volumeBindingMode ?? UNSET),
    text('AllowVolumeExpansion', ({ allowVolumeExpansion }) =>
      String(allowVolumeExpansion ?? false),
    ),
    AGE,
  ],
};

export const csidrivers: Resource<CSIDriver> = {
  gvk: [GROUP, 'v1', 'CSIDriver'],
  names: { plural: 'csidrivers', singular: 'csidriver' },
  namespaced: false,
  type: 'io.k8s.api.storage.v1.CSIDriver',
  hasGeneration: true,
  defaults: (driver) =>
    change(fill(driver, { spec: {} }), {
      spec: (spec) =>
        fill(spec, {
          attachRequired: true,
          podInfoOnMount: false,
          storageCapacity: false,
          fsGroupPolicy: 'ReadWriteOnceWithFSType',
          requiresRepublish: false,
          volumeLifecycleModes: ['Persistent'],
          seLinuxMount: false,
        }),
    }),
  validate: ({ spec }) => [
    ...oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']),
    ...each('spec.volumeLifecycleModes', spec.volumeLifecycleModes, (mode, path) =>
      oneOf(path, mode, ['Ephemeral', 'Persistent']),
    ),
  ],
  validateUpdate: ({ spec }, old) =>
    immutable('spec.attachRequired', spec.attachRequired, old.spec.attachRequired),
  columns: [
    NAME,
    text('AttachRequired', ({ spec }) => String(spec.attachRequired ?? true)),
    text('PodInfoOnMount', ({ spec }) => String(spec.podInfoOnMount ?? false)),
    text('StorageCapacity', ({ spec }) => String(spec.storageCapacity ?? false)),
    text(
      'TokenRequests',
      ({ spec }) => joined(spec.tokenRequests?.map(({ audience }) => audience)) || UNSET,
    ),
    text('RequiresRepublish', ({ spec }) => String(spec.requiresRepublish ?? false)),
    text('Modes', ({ spec }) => joined(spec.volumeLifecycleModes)),
    AGE,
  ],
};

export const csinodes: Resource<CSINode> = {
  gvk: [GROUP, 'v1', 'CSINode'],
  names: { plural: 'csinodes', singular: 'csinode' },
  namespaced: false,
  type: 'io.k8s.api.storage.v1.CSINode',
  validate: ({ spec }) =>
    each('spec.drivers', spec.drivers, ({ name, nodeID }, path) => [
      ...(name
        ? invalidEach(`${path}.name`, name, dnsSubdomain(name))
        : [required(`${path}.name`)]),
      ...(nodeID ? [] : [required(`${path}.nodeID`)]),
    ]),
  columns: [NAME, integer('Drivers', ({ spec }) => spec.drivers?.length ?? 0), AGE],
};

export const csistoragecapacities: Resource<CSIStorageCapacity> = {
  gvk: [GROUP, 'v1', 'CSIStorageCapacity'],
  names: { plural: 'csistoragecapacities', singular: 'csistoragecapacity' },
  namespaced: true,
  type: 'io.k8s.api.storage.v1.CSIStorageCapacity',
  validate: ({ storageClassName, capacity, maximumVolumeSize }) => [
    ...(storageClassName
      ? invalidEach('storageClassName', storageClassName, dnsSubdomain(storageClassName))
      : [required('storageClassName')]),
    ...(capacity === undefined ? [] : oneQuantity('capacity', capacity)),
    ...(maximumVolumeSize === undefined ? [] : oneQuantity('maximumVolumeSize', maximumVolumeSize)),
  ],
  validateUpdate: (now, old) => [
    ...immutable('nodeTopology', now.nodeTopology, old.nodeTopology),
    ...immutable('storageClassName', now.storageClassName, old.storageClassName),
  ],
  columns: DEFAULT_COLUMNS,
};

export const volumeattachments: Resource<VolumeAttachment> = {
  gvk: [GROUP, 'v1', 'VolumeAttachment'],
  names: { plural: 'volumeattachments', singular: 'volumeattachment' },
  namespaced: false,
  type: 'io.k8s.api.storage.v1.VolumeAttachment',
  subresources: ['status'],
  defaults: (attachment) => fill(attachment, { status: { attached: false } }),
  prepareForCreate: (attachment) => ({ ...attachment, status: { attached: false } }),
  validate: ({ spec: { attacher, nodeName, source } }) => [
    ...(attacher
      ? invalidEach('spec.attacher', attacher, qualifiedName(attacher.toLowerCase()))
      : [required('spec.attacher')]),
    ...(nodeName ? [] : [required('spec.nodeName')]),
    ...(source?.persistentVolumeName || source?.inlineVolumeSpec
      ? []
      : [
          required(
            'spec.source',
            'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
          ),
        ]),
  ],
  validateUpdate: ({ spec }, old) => immutable('spec', spec, old.spec),
  columns: [
    NAME,
    text('Attacher', ({ spec }) => spec.attacher),
    text('PV', ({ spec }) => spec.source.persistentVolumeName ?? ''),
    text('Node', ({ spec }) => spec.nodeName),
    text('Attached', ({ status }) => String(status?.attached ?? false)),
    AGE,
  ],
};

export const volumeattributesclasses: Resource<VolumeAttributesClass> = {
  gvk: [GROUP, 'v1', 'VolumeAttributesClass'],
  names: { plural: 'volumeattributesclasses', singular: 'volumeattributesclass', short: ['vac'] },
  namespaced: false,
  type: 'io.k8s.api.storage.v1.VolumeAttributesClass',
  validate: ({ driverName, parameters }) => [
    ...(driverName ? [] : [required('driverName')]),
    ...(Object.keys(parameters ?? {}).length > 0
      ? []
      : [required('parameters', 'must contain at least one key/value pair')]),
  ],
  validateUpdate: fixedFields<VolumeAttributesClass>(['driverName', 'parameters']),
  columns: [NAME, text('DriverName', ({ driverName }) => driverName), AGE],
};
