/** ClusterRoles of the built-in controllers, one each, bound to the service account of the same name in kube-system. */

import type { RoleRow } from './cluster-roles.ts';
import { on, READ } from './rules.ts';

const EVENTS = on('', ['events'], ['create', 'patch', 'update']);

const PODS = on('', ['pods'], [...READ, 'create', 'delete', 'patch', 'update']);

export const CONTROLLER_ROLES: readonly RoleRow[] = [
  {
    name: 'attachdetach-controller',
    rules: [
      EVENTS,
      on('', ['persistentvolumes', 'persistentvolumeclaims', 'pods'], READ),
      on('', ['nodes'], READ),
      on('', ['nodes/status'], ['patch', 'update']),
      on('storage.k8s.io', ['volumeattachments'], [...READ, 'create', 'delete']),
      on('storage.k8s.io', ['csidrivers', 'csinodes'], READ),
    ],
  },
  {
    name: 'certificate-controller',
    rules: [
      EVENTS,
      on('certificates.k8s.io', ['certificatesigningrequests'], [...READ, 'delete']),
      on(
        'certificates.k8s.io',
        ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        ['update'],
      ),
      on('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['signers'],
        resourceNames: [
          'kubernetes.io/kube-apiserver-client-kubelet',
          'kubernetes.io/kube-apiserver-client',
          'kubernetes.io/kubelet-serving',
          'kubernetes.io/legacy-unknown',
        ],
        verbs: ['approve', 'sign'],
      },
    ],
  },
  {
    name: 'clusterrole-aggregation-controller',
    rules: [
      on('rbac.authorization.k8s.io', ['clusterroles'], [...READ, 'escalate', 'patch', 'update']),
    ],
  },
  {
    name: 'cronjob-controller',
    rules: [
      EVENTS,
      on('batch', ['cronjobs'], [...READ, 'update']),
      on('batch', ['cronjobs/status', 'cronjobs/finalizers'], ['update']),
      on('batch', ['jobs'], [...READ, 'create', 'delete', 'patch', 'update']),
      on('', ['pods'], ['delete', 'list']),
    ],
  },
  {
    name: 'daemon-set-controller',
    rules: [
      EVENTS,
      PODS,
      on('', ['nodes'], READ),
      on('', ['pods/binding'], ['create']),
      on('apps', ['daemonsets'], READ),
      on('apps', ['daemonsets/status', 'daemonsets/finalizers'], ['update']),
      on('apps', ['controllerrevisions'], [...READ, 'create', 'delete', 'patch', 'update']),
    ],
  },
  {
    name: 'deployment-controller',
    rules: [
      EVENTS,
      on('', ['pods'], [...READ, 'update']),
      on('apps', ['deployments'], [...READ, 'update']),
      on('apps', ['deployments/status', 'deployments/finalizers'], ['update']),
      on('apps', ['replicasets'], [...READ, 'create', 'delete', 'patch', 'update']),
    ],
  },
  {
    name: 'disruption-controller',
    rules: [
      EVENTS,
      on('', ['pods', 'replicationcontrollers'], READ),
      on('', ['pods/status'], ['patch', 'update']),
      on('apps', ['deployments', 'replicasets', 'statefulsets'], READ),
      on('policy', ['poddisruptionbudgets'], READ),
      on('policy', ['poddisruptionbudgets/status'], ['update']),
      { apiGroups: ['*'], resources: ['*/scale'], verbs: ['get'] },
    ],
  },
  {
    name: 'endpoint-controller',
    rules: [
      EVENTS,
      on('', ['pods', 'services'], READ),
      on('', ['endpoints'], [...READ, 'create', 'delete', 'update']),
      on('', ['endpoints/restricted'], ['create']),
    ],
  },
  {
    name: 'endpointslice-controller',
    rules: [
      EVENTS,
      on('', ['nodes', 'pods', 'services'], READ),
      on('', ['services/finalizers'], ['update']),
      on('discovery.k8s.io', ['endpointslices'], [...READ, 'create', 'delete', 'update']),
    ],
  },
  {
    name: 'ephemeral-volume-controller',
    rules: [
      EVENTS,
      on('', ['pods'], READ),
      on('', ['pods/finalizers'], ['update']),
      on('', ['persistentvolumeclaims'], [...READ, 'create']),
    ],
  },
  {
    name: 'expand-controller',
    rules: [
      EVENTS,
      on('', ['persistentvolumes'], [...READ, 'patch', 'update']),
      on('', ['persistentvolumeclaims'], READ),
      on('', ['persistentvolumeclaims/status'], ['patch', 'update']),
      on('storage.k8s.io', ['storageclasses'], READ),
    ],
  },
  {
    name: 'generic-garbage-collector',
    rules: [
      EVENTS,
      { apiGroups: ['*'], resources: ['*'], verbs: [...READ, 'delete', 'patch', 'update'] },
    ],
  },
  {
    name: 'horizontal-pod-autoscaler',
    rules: [
      EVENTS,
      on('autoscaling', ['horizontalpodautoscalers'], READ),
      on('autoscaling', ['horizontalpodautoscalers/status'], ['update']),
      { apiGroups: ['*'], resources: ['*/scale'], verbs: ['get', 'update'] },
      on('', ['pods'], ['list']),
      on('metrics.k8s.io', ['pods'], ['list']),
    ],
  },
  {
    name: 'job-controller',
    rules: [
      EVENTS,
      PODS,
      on('batch', ['jobs'], [...READ, 'patch', 'update']),
      on('batch', ['jobs/status', 'jobs/finalizers'], ['patch', 'update']),
    ],
  },
  {
    name: 'namespace-controller',
    rules: [
      on('', ['namespaces'], [...READ, 'delete']),
      on('', ['namespaces/finalize', 'namespaces/status'], ['update']),
      { apiGroups: ['*'], resources: ['*'], verbs: ['delete', 'deletecollection', ...READ] },
    ],
  },
  {
    name: 'node-controller',
    rules: [
      EVENTS,
      on('', ['nodes'], [...READ, 'delete', 'patch', 'update']),
      on('', ['nodes/status', 'pods/status'], ['patch', 'update']),
      on('', ['pods'], [...READ, 'delete']),
    ],
  },
  {
    name: 'persistent-volume-binder',
    rules: [
      EVENTS,
      on('', ['persistentvolumes'], [...READ, 'create', 'delete', 'update']),
      on('', ['persistentvolumes/status', 'persistentvolumeclaims/status'], ['update']),
      on('', ['persistentvolumeclaims'], [...READ, 'update']),
      on('', ['pods'], [...READ, 'create', 'delete']),
      on('storage.k8s.io', ['storageclasses'], READ),
    ],
  },
  {
    name: 'pod-garbage-collector',
    rules: [
      on('', ['pods'], ['delete', ...READ]),
      on('', ['pods/status'], ['patch']),
      on('', ['nodes'], READ),
    ],
  },
  {
    name: 'podcertificaterequestcleaner',
    rules: [on('certificates.k8s.io', ['podcertificaterequests'], [...READ, 'delete'])],
  },
  {
    name: 'pv-protection-controller',
    rules: [EVENTS, on('', ['persistentvolumes'], [...READ, 'update'])],
  },
  {
    name: 'pvc-protection-controller',
    rules: [
      EVENTS,
      on('', ['persistentvolumeclaims'], [...READ, 'update']),
      on('', ['pods'], READ),
    ],
  },
  {
    name: 'volumeattributesclass-protection-controller',
    rules: [
      EVENTS,
      on('storage.k8s.io', ['volumeattributesclasses'], [...READ, 'update']),
      on('', ['persistentvolumes', 'persistentvolumeclaims'], READ),
    ],
  },
  {
    name: 'replicaset-controller',
    rules: [
      EVENTS,
      PODS,
      on('apps', ['replicasets'], [...READ, 'update']),
      on('apps', ['replicasets/status', 'replicasets/finalizers'], ['update']),
    ],
  },
  {
    name: 'replication-controller',
    rules: [
      EVENTS,
      PODS,
      on('', ['replicationcontrollers'], [...READ, 'update']),
      on('', ['replicationcontrollers/status', 'replicationcontrollers/finalizers'], ['update']),
    ],
  },
  {
    name: 'resourcequota-controller',
    rules: [
      EVENTS,
      { apiGroups: ['*'], resources: ['*'], verbs: ['list', 'watch'] },
      on('', ['resourcequotas/status'], ['update']),
    ],
  },
  { name: 'root-ca-cert-publisher', rules: [EVENTS, on('', ['configmaps'], ['create', 'update'])] },
  { name: 'service-account-controller', rules: [EVENTS, on('', ['serviceaccounts'], ['create'])] },
  {
    name: 'service-controller',
    rules: [
      EVENTS,
      on('', ['services'], READ),
      on('', ['services/status'], ['patch', 'update']),
      on('', ['nodes'], ['list', 'watch']),
    ],
  },
  {
    name: 'statefulset-controller',
    rules: [
      EVENTS,
      PODS,
      on('apps', ['statefulsets'], READ),
      on('apps', ['statefulsets/status', 'statefulsets/finalizers'], ['update']),
      on('apps', ['controllerrevisions'], [...READ, 'create', 'delete', 'patch', 'update']),
      on('', ['persistentvolumeclaims'], [...READ, 'create', 'delete', 'update']),
    ],
  },
  {
    name: 'ttl-after-finished-controller',
    rules: [EVENTS, on('batch', ['jobs'], [...READ, 'delete'])],
  },
  { name: 'ttl-controller', rules: [EVENTS, on('', ['nodes'], [...READ, 'patch', 'update'])] },
];
