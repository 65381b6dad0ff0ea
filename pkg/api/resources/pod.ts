/** Pods. */

import { forbiddenField } from '../field-errors.ts';
import type { Pod } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { POD_COLUMNS } from './pod-columns.ts';
import { podDefaults } from './pod-defaults.ts';
import { qosClass } from './pod-qos.ts';
import { validateEphemeralUpdate, validateResize } from './pod-subresource-update.ts';
import { validatePodUpdate } from './pod-update.ts';
import { validatePodSpec } from './pod-validation.ts';

const GRACE_SECONDS = 30;

export const pods: Resource<Pod> = {
  gvk: ['', 'v1', 'Pod'],
  names: { plural: 'pods', singular: 'pod', short: ['po'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Pod',
  subresources: [
    'attach',
    'binding',
    'ephemeralcontainers',
    'eviction',
    'exec',
    'log',
    'portforward',
    'proxy',
    'resize',
    'status',
  ],
  hasGeneration: true,
  fields: {
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
    'spec.restartPolicy': ({ spec }) => spec.restartPolicy ?? '',
    'spec.schedulerName': ({ spec }) => spec.schedulerName ?? '',
    'spec.serviceAccountName': ({ spec }) => spec.serviceAccountName ?? '',
    'spec.hostNetwork': ({ spec }) => String(spec.hostNetwork ?? false),
    'status.phase': ({ status }) => status?.phase ?? '',
    'status.podIP': ({ status }) => status?.podIPs?.[0]?.ip ?? status?.podIP ?? '',
    'status.nominatedNodeName': ({ status }) => status?.nominatedNodeName ?? '',
  },
  defaults: podDefaults,
  prepareForCreate: (pod) => ({
    ...pod,
    status: { phase: 'Pending', qosClass: qosClass(pod.spec) },
  }),
  validate: ({ spec, metadata }) => validatePodSpec(spec, { field: 'spec', metadata }),
  validateCreate: ({ spec }) =>
    spec.ephemeralContainers?.length
      ? [forbiddenField('spec.ephemeralContainers', 'cannot be set on create')]
      : [],
  validateUpdate: validatePodUpdate,
  validateSubresource: {
    ephemeralcontainers: validateEphemeralUpdate,
    resize: validateResize,
  },
  columns: POD_COLUMNS,
  graceSeconds: (pod) => graceSeconds(pod),
};

/** None for pods that no agent holds (not bound to a node, or done): those go at once. */
function graceSeconds({ spec, status }: Pod): number {
  if (!spec.nodeName || status?.phase === 'Succeeded' || status?.phase === 'Failed') return 0;
  return spec.terminationGracePeriodSeconds ?? GRACE_SECONDS;
}
