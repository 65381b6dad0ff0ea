/** The default ClusterRoles for users and parts of the cluster. Source: Kubernetes' bootstrap policy, v1.36. */

import type { PolicyRule } from '../../../api/generated/types.ts';
import { NODE_RULES } from '../node-authorizer.ts';
import { ADMIN_RULES, ALL, EDIT_RULES, on, READ, SCHEDULER_RULES, VIEW_RULES } from './rules.ts';

export interface RoleRow {
  readonly name: string;
  readonly rules?: readonly PolicyRule[];
  /** Into which role `rbac.authorization.k8s.io/aggregate-to-<role>` puts its rules. */
  readonly aggregateTo?: string;
  /** Its rules are those of all roles that aggregate to it. */
  readonly isAggregated?: boolean;
}

const DISCOVERY_URLS = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];
const PUBLIC_URLS = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const SELF_REVIEWS = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'];

const KUBELET_API = [
  'nodes/checkpoint',
  'nodes/configz',
  'nodes/healthz',
  'nodes/log',
  'nodes/metrics',
  'nodes/pods',
  'nodes/proxy',
  'nodes/stats',
];

/** Signer names that a role may approve or sign for. */
function signer(verb: string, ...names: readonly string[]): PolicyRule {
  return {
    apiGroups: ['certificates.k8s.io'],
    resources: ['signers'],
    resourceNames: names,
    verbs: [verb],
  };
}

export const CLUSTER_ROLES: readonly RoleRow[] = [
  {
    name: 'cluster-admin',
    rules: [
      { apiGroups: ALL, resources: ALL, verbs: ALL },
      { nonResourceURLs: ALL, verbs: ALL },
    ],
  },
  { name: 'admin', isAggregated: true },
  { name: 'edit', isAggregated: true, aggregateTo: 'admin' },
  { name: 'view', isAggregated: true, aggregateTo: 'edit' },
  { name: 'system:aggregate-to-admin', rules: ADMIN_RULES, aggregateTo: 'admin' },
  { name: 'system:aggregate-to-edit', rules: EDIT_RULES, aggregateTo: 'edit' },
  { name: 'system:aggregate-to-view', rules: VIEW_RULES, aggregateTo: 'view' },
  {
    name: 'system:aggregated-metrics-reader',
    rules: [on('metrics.k8s.io', ['nodes', 'pods'], READ)],
    aggregateTo: 'view',
  },
  { name: 'system:discovery', rules: [{ nonResourceURLs: DISCOVERY_URLS, verbs: ['get'] }] },
  {
    name: 'system:basic-user',
    rules: [
      on('authorization.k8s.io', SELF_REVIEWS, ['create']),
      on('authentication.k8s.io', ['selfsubjectreviews'], ['create']),
    ],
  },
  { name: 'system:public-info-viewer', rules: [{ nonResourceURLs: PUBLIC_URLS, verbs: ['get'] }] },
  {
    name: 'system:monitoring',
    rules: [
      {
        nonResourceURLs: [
          '/healthz',
          '/healthz/*',
          '/livez',
          '/livez/*',
          '/metrics',
          '/metrics/slis',
          '/readyz',
          '/readyz/*',
        ],
        verbs: ['get'],
      },
    ],
  },
  {
    name: 'system:heapster',
    rules: [
      on('', ['events', 'namespaces', 'nodes', 'pods'], READ),
      on('apps', ['deployments'], READ),
    ],
  },
  { name: 'system:node', rules: NODE_RULES },
  {
    name: 'system:node-problem-detector',
    rules: [
      on('', ['nodes'], ['get']),
      on('', ['nodes/status'], ['patch']),
      on('', ['events'], ['create', 'patch', 'update']),
    ],
  },
  {
    name: 'system:node-proxier',
    rules: [
      on('', ['services', 'endpoints', 'nodes'], READ),
      on('', ['events'], ['create', 'patch', 'update']),
      on('events.k8s.io', ['events'], ['create', 'patch', 'update']),
      on('discovery.k8s.io', ['endpointslices'], READ),
      on('networking.k8s.io', ['servicecidrs'], READ),
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: [on('certificates.k8s.io', ['certificatesigningrequests'], ['create', ...READ])],
  },
  {
    name: 'system:auth-delegator',
    rules: [
      on('authentication.k8s.io', ['tokenreviews'], ['create']),
      on('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
    ],
  },
  { name: 'system:kube-aggregator', rules: [on('', ['services', 'endpoints'], READ)] },
  { name: 'system:kube-dns', rules: [on('', ['endpoints', 'services'], ['list', 'watch'])] },
  { name: 'system:kube-scheduler', rules: SCHEDULER_RULES },
  {
    name: 'system:volume-scheduler',
    rules: [
      on('', ['persistentvolumes', 'persistentvolumeclaims'], [...READ, 'patch', 'update']),
      on('storage.k8s.io', ['storageclasses'], READ),
    ],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [on('', ['nodes'], [...READ, 'proxy']), on('', KUBELET_API, ALL)],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      on('', ['events'], ['create', 'patch', 'update']),
      on('coordination.k8s.io', ['leases'], ['create', ...READ, 'update']),
      on('', ['secrets', 'serviceaccounts'], ['create', 'delete', 'get', 'update']),
      on('', ['serviceaccounts/token'], ['create']),
      { apiGroups: ALL, resources: ALL, verbs: ['list', 'watch'] },
    ],
  },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      on('', ['persistentvolumes'], [...READ, 'create', 'delete']),
      on('', ['persistentvolumeclaims'], [...READ, 'update']),
      on('storage.k8s.io', ['storageclasses'], READ),
      on('', ['events'], [...READ, 'create', 'patch', 'update']),
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      {
        nonResourceURLs: [
          '/.well-known/openid-configuration',
          '/.well-known/openid-configuration/',
          '/openid/v1/jwks',
          '/openid/v1/jwks/',
        ],
        verbs: ['get'],
      },
    ],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [on('certificates.k8s.io', ['certificatesigningrequests/nodeclient'], ['create'])],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [on('certificates.k8s.io', ['certificatesigningrequests/selfnodeclient'], ['create'])],
  },
  {
    name: 'system:certificates.k8s.io:kube-apiserver-client-approver',
    rules: [signer('approve', 'kubernetes.io/kube-apiserver-client')],
  },
  {
    name: 'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver',
    rules: [signer('approve', 'kubernetes.io/kube-apiserver-client-kubelet')],
  },
  {
    name: 'system:certificates.k8s.io:kubelet-serving-approver',
    rules: [signer('approve', 'kubernetes.io/kubelet-serving')],
  },
  {
    name: 'system:certificates.k8s.io:legacy-unknown-approver',
    rules: [signer('approve', 'kubernetes.io/legacy-unknown')],
  },
];
