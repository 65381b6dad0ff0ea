/** The longer rule lists of the default roles, and how rules are written here. */

import type { PolicyRule } from '../../../api/generated/types.ts';

export const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
export const ALL = ['*'];

/** A rule on resources of one group. */
export function on(
  group: string,
  resources: readonly string[],
  verbs: readonly string[],
): PolicyRule {
  return { apiGroups: [group], resources, verbs };
}

const WORKLOADS = [
  'daemonsets',
  'deployments',
  'deployments/rollback',
  'deployments/scale',
  'replicasets',
  'replicasets/scale',
  'statefulsets',
  'statefulsets/scale',
];
const CORE_EDIT = [
  'configmaps',
  'endpoints',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'replicationcontrollers/scale',
  'serviceaccounts',
  'services',
  'services/proxy',
];
export const ADMIN_RULES: readonly PolicyRule[] = [
  on('authorization.k8s.io', ['localsubjectaccessreviews'], ['create']),
  on('rbac.authorization.k8s.io', ['rolebindings', 'roles'], [...READ, ...WRITE]),
];

export const EDIT_RULES: readonly PolicyRule[] = [
  on(
    '',
    ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'],
    READ,
  ),
  on('', ['serviceaccounts'], ['impersonate']),
  on(
    '',
    ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', ...CORE_EDIT, 'secrets'],
    WRITE,
  ),
  on('', ['pods/eviction', 'serviceaccounts/token'], ['create']),
  on('', ['events'], WRITE),
  on('apps', WORKLOADS, WRITE),
  on('autoscaling', ['horizontalpodautoscalers'], WRITE),
  on('batch', ['cronjobs', 'jobs'], WRITE),
  on('networking.k8s.io', ['ingresses', 'networkpolicies'], WRITE),
  on('policy', ['poddisruptionbudgets'], WRITE),
  on('coordination.k8s.io', ['leases'], [...READ, ...WRITE]),
];

export const VIEW_RULES: readonly PolicyRule[] = [
  on(
    '',
    [
      'configmaps',
      'endpoints',
      'persistentvolumeclaims',
      'persistentvolumeclaims/status',
      'pods',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'serviceaccounts',
      'services',
      'services/status',
    ],
    READ,
  ),
  on(
    '',
    [
      'bindings',
      'events',
      'limitranges',
      'namespaces',
      'namespaces/status',
      'pods/log',
      'pods/status',
      'replicationcontrollers/status',
      'resourcequotas',
      'resourcequotas/status',
    ],
    READ,
  ),
  on('discovery.k8s.io', ['endpointslices'], READ),
  on(
    'apps',
    [
      'controllerrevisions',
      ...WORKLOADS.filter((name) => name !== 'deployments/rollback'),
      'daemonsets/status',
      'deployments/status',
      'replicasets/status',
      'statefulsets/status',
    ],
    READ,
  ),
  on('autoscaling', ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], READ),
  on('batch', ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'], READ),
  on('networking.k8s.io', ['ingresses', 'ingresses/status', 'networkpolicies'], READ),
  on('policy', ['poddisruptionbudgets', 'poddisruptionbudgets/status'], READ),
];

export const SCHEDULER_RULES: readonly PolicyRule[] = [
  on('', ['events'], ['create', 'patch', 'update']),
  on('events.k8s.io', ['events'], ['create', 'patch', 'update']),
  on('coordination.k8s.io', ['leases'], ['create', ...READ, 'update']),
  on('', ['nodes', 'namespaces', 'replicationcontrollers', 'services', 'persistentvolumes'], READ),
  on('', ['pods'], ['delete', ...READ]),
  on('', ['bindings', 'pods/binding'], ['create']),
  on('', ['pods/status'], ['patch', 'update']),
  on('', ['persistentvolumeclaims'], [...READ, 'patch', 'update']),
  on('apps', ['replicasets', 'statefulsets'], READ),
  on('policy', ['poddisruptionbudgets'], READ),
  on(
    'storage.k8s.io',
    ['csidrivers', 'csinodes', 'csistoragecapacities', 'storageclasses', 'volumeattachments'],
    READ,
  ),
  on('resource.k8s.io', ['deviceclasses', 'resourceslices'], READ),
  on('resource.k8s.io', ['resourceclaims', 'resourceclaims/status'], [...READ, 'patch', 'update']),
  on('authentication.k8s.io', ['tokenreviews'], ['create']),
  on('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
];
