/** StatefulSets, DaemonSets and ControllerRevisions. */

import { change, each, fill } from '../defaulting.ts';
import { immutable } from '../field-errors.ts';
import type { ControllerRevision, DaemonSet, StatefulSet } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { AGE, integer, NAME, NONE, text } from './columns.ts';
import { templateDefaults } from './pod-defaults.ts';
import { claimDefaults } from './volume-claim-defaults.ts';
import { DAEMONSET_COLUMNS, STATEFULSET_COLUMNS } from './workload-columns.ts';
import { workloadScale } from './workload-scale.ts';
import {
  validateDaemonSet,
  validateSelectorUpdate,
  validateStatefulSet,
  validateStatefulSetUpdate,
} from './workload-validation.ts';

function statefulSetDefaults(object: StatefulSet): StatefulSet {
  return change(fill(object, { status: { replicas: 0 } }), {
    spec: (spec) =>
      change(
        fill(spec, {
          replicas: 1,
          revisionHistoryLimit: 10,
          podManagementPolicy: 'OrderedReady',
          updateStrategy: {},
          persistentVolumeClaimRetentionPolicy: {},
        }),
        {
          updateStrategy: setStrategy,
          template: templateDefaults,
          volumeClaimTemplates: each(claimDefaults),
          persistentVolumeClaimRetentionPolicy: (policy) =>
            fill(policy, { whenDeleted: 'Retain', whenScaled: 'Retain' }),
        },
      ),
  });
}

type SetStrategy = NonNullable<StatefulSet['spec']['updateStrategy']>;

function setStrategy(strategy: SetStrategy): SetStrategy {
  const typed = fill(strategy, { type: 'RollingUpdate' });
  if (typed.type !== 'RollingUpdate') return typed;
  return change(fill(typed, { rollingUpdate: {} }), {
    rollingUpdate: (rolling) => fill(rolling, { partition: 0 }),
  });
}

export const statefulsets: Resource<StatefulSet> = {
  gvk: ['apps', 'v1', 'StatefulSet'],
  names: { plural: 'statefulsets', singular: 'statefulset', short: ['sts'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.StatefulSet',
  subresources: ['scale', 'status'],
  scale: workloadScale(),
  hasGeneration: true,
  defaults: statefulSetDefaults,
  prepareForCreate: (object) => ({ ...object, status: { replicas: 0 } }),
  validate: validateStatefulSet,
  validateUpdate: validateStatefulSetUpdate,
  columns: STATEFULSET_COLUMNS,
};

type DaemonStrategy = NonNullable<DaemonSet['spec']['updateStrategy']>;

function daemonStrategy(strategy: DaemonStrategy): DaemonStrategy {
  const typed = fill(strategy, { type: 'RollingUpdate' });
  if (typed.type !== 'RollingUpdate') return typed;
  return change(fill(typed, { rollingUpdate: {} }), {
    rollingUpdate: (rolling) => fill(rolling, { maxUnavailable: 1, maxSurge: 0 }),
  });
}

const NO_DAEMONS = {
  currentNumberScheduled: 0,
  desiredNumberScheduled: 0,
  numberMisscheduled: 0,
  numberReady: 0,
};

export const daemonsets: Resource<DaemonSet> = {
  gvk: ['apps', 'v1', 'DaemonSet'],
  names: { plural: 'daemonsets', singular: 'daemonset', short: ['ds'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.DaemonSet',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (object) =>
    change(fill(object, { status: NO_DAEMONS }), {
      spec: (spec) =>
        change(fill(spec, { updateStrategy: {}, revisionHistoryLimit: 10 }), {
          updateStrategy: daemonStrategy,
          template: templateDefaults,
        }),
    }),
  prepareForCreate: (object) => ({ ...object, status: NO_DAEMONS }),
  validate: validateDaemonSet,
  validateUpdate: validateSelectorUpdate,
  columns: DAEMONSET_COLUMNS,
};

/** "daemonset.apps/name" of the owner that controls it. */
function controllerOf({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner) return NONE;
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const controllerrevisions: Resource<ControllerRevision> = {
  gvk: ['apps', 'v1', 'ControllerRevision'],
  names: { plural: 'controllerrevisions', singular: 'controllerrevision' },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.ControllerRevision',
  validate: () => [],
  validateUpdate: ({ data }, old) => immutable('data', data, old.data),
  columns: [
    NAME,
    text('Controller', controllerOf),
    integer('Revision', ({ revision }) => revision ?? 0),
    AGE,
  ],
};
