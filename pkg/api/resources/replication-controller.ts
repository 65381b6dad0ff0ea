/** ReplicationControllers and PodTemplates: the oldest kinds that carry a pod template. */

import { change, fill } from '../defaulting.ts';
import { type Causes, invalidValue, notNegative, required } from '../field-errors.ts';
import type { PodTemplate, ReplicationController } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { formatSelector, matchesLabels, selectorOfMap } from '../selectors.ts';
import { containerColumns, NAME, showLabels, text } from './columns.ts';
import { templateDefaults } from './pod-defaults.ts';
import { validateTemplate } from './template-validation.ts';
import { REPLICATIONCONTROLLER_COLUMNS } from './workload-columns.ts';

/** What is absent comes from the template's labels. */
function controllerDefaults(controller: ReplicationController): ReplicationController {
  const { metadata, spec } = controller;
  const labels = spec?.template?.metadata?.labels;
  const isUnlabelled = labels && Object.keys(metadata.labels ?? {}).length === 0;
  const labelled = isUnlabelled ? { ...controller, metadata: { ...metadata, labels } } : controller;
  return change(fill(labelled, { spec: {}, status: { replicas: 0 } }), {
    spec: (given) =>
      change(fill(given, { replicas: 1, ...(labels ? { selector: labels } : {}) }), {
        template: templateDefaults,
      }),
  });
}

function controllerCauses({ spec }: ReplicationController): Causes {
  const labels = spec.template?.metadata?.labels ?? {};
  const isSelecting = Object.keys(spec.selector ?? {}).length > 0;
  const isMatching = matchesLabels(selectorOfMap(spec.selector), labels);
  return [
    ...notNegative('spec.replicas', spec.replicas),
    ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...(isSelecting ? [] : [required('spec.selector')]),
    ...(isSelecting && !isMatching
      ? [
          invalidValue(
            'spec.template.metadata.labels',
            labels,
            '`selector` does not match template `labels`',
          ),
        ]
      : []),
    ...validateTemplate(spec.template, 'spec.template'),
  ];
}

export const replicationcontrollers: Resource<ReplicationController> = {
  gvk: ['', 'v1', 'ReplicationController'],
  names: {
    plural: 'replicationcontrollers',
    singular: 'replicationcontroller',
    short: ['rc'],
    categories: ['all'],
  },
  namespaced: true,
  type: 'io.k8s.api.core.v1.ReplicationController',
  subresources: ['scale', 'status'],
  scale: {
    replicas: ({ spec }) => spec.replicas ?? 0,
    statusReplicas: ({ status }) => status?.replicas ?? 0,
    selector: ({ spec }) => formatSelector(selectorOfMap(spec.selector)),
    withReplicas: (object, replicas) => ({ ...object, spec: { ...object.spec, replicas } }),
  },
  hasGeneration: true,
  fields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  defaults: controllerDefaults,
  prepareForCreate: (object) => ({ ...object, status: { replicas: 0 } }),
  validate: controllerCauses,
  columns: REPLICATIONCONTROLLER_COLUMNS,
};

export const podtemplates: Resource<PodTemplate> = {
  gvk: ['', 'v1', 'PodTemplate'],
  names: { plural: 'podtemplates', singular: 'podtemplate' },
  namespaced: true,
  type: 'io.k8s.api.core.v1.PodTemplate',
  hasGeneration: true,
  defaults: (object) => change(object, { template: templateDefaults }),
  validate: ({ template }) => validateTemplate(template, 'template'),
  columns: [
    NAME,
    ...containerColumns<PodTemplate>(({ template }) => template?.spec).map((column) => ({
      ...column,
      priority: 0,
    })),
    text('Pod Labels', ({ template }) => showLabels(template?.metadata?.labels)),
  ],
};
