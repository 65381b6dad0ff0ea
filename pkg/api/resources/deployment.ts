/** Deployments and ReplicaSets. */

import { change, fill } from '../defaulting.ts';
import type { Deployment, ReplicaSet } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { templateDefaults } from './pod-defaults.ts';
import { DEPLOYMENT_COLUMNS, REPLICASET_COLUMNS } from './workload-columns.ts';
import { workloadScale } from './workload-scale.ts';
import {
  validateDeployment,
  validateReplicaSet,
  validateSelectorUpdate,
} from './workload-validation.ts';

function deploymentDefaults(deployment: Deployment): Deployment {
  return change(fill(deployment, { status: {} }), {
    spec: (spec) =>
      change(
        fill(spec, {
          replicas: 1,
          strategy: {},
          revisionHistoryLimit: 10,
          progressDeadlineSeconds: 600,
        }),
        { strategy: strategyDefaults, template: templateDefaults },
      ),
  });
}

type Strategy = NonNullable<Deployment['spec']['strategy']>;

function strategyDefaults(strategy: Strategy): Strategy {
  const typed = fill(strategy, { type: 'RollingUpdate' });
  if (typed.type !== 'RollingUpdate') return typed;
  return change(fill(typed, { rollingUpdate: {} }), {
    rollingUpdate: (rolling) => fill(rolling, { maxUnavailable: '25%', maxSurge: '25%' }),
  });
}

export const deployments: Resource<Deployment> = {
  gvk: ['apps', 'v1', 'Deployment'],
  names: { plural: 'deployments', singular: 'deployment', short: ['deploy'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.Deployment',
  subresources: ['scale', 'status'],
  scale: workloadScale(),
  hasGeneration: true,
  defaults: deploymentDefaults,
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate: validateDeployment,
  validateUpdate: validateSelectorUpdate,
  columns: DEPLOYMENT_COLUMNS,
};

export const replicasets: Resource<ReplicaSet> = {
  gvk: ['apps', 'v1', 'ReplicaSet'],
  names: { plural: 'replicasets', singular: 'replicaset', short: ['rs'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.ReplicaSet',
  subresources: ['scale', 'status'],
  scale: workloadScale(),
  hasGeneration: true,
  fields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  defaults: (object) =>
    change(fill(object, { status: { replicas: 0 } }), {
      spec: (spec) => change(fill(spec, { replicas: 1 }), { template: templateDefaults }),
    }),
  prepareForCreate: (object) => ({ ...object, status: { replicas: 0 } }),
  validate: validateReplicaSet,
  validateUpdate: validateSelectorUpdate,
  columns: REPLICASET_COLUMNS,
};
