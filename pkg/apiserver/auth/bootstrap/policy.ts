/** The default RBAC objects as objects: ClusterRoles, Roles in system namespaces, and their bindings. Pure. */

import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacSubject,
  Role,
  RoleBinding,
} from '../../../api/generated/types.ts';
import type { Draft } from '../../../api/meta.ts';
import { GROUP } from '../users.ts';
import { CLUSTER_ROLES, type RoleRow } from './cluster-roles.ts';
import { CONTROLLER_ROLES } from './controller-roles.ts';
import { on, READ } from './rules.ts';

const API_GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${API_GROUP}/v1`;
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
/** An operator sets this to 'false' to keep own changes to a default object. */
export const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate';
const ANNOTATIONS = { [AUTO_UPDATE]: 'true' };
const CONTROLLER_PREFIX = 'system:controller:';

export interface Policy {
  readonly clusterroles: readonly Draft<ClusterRole>[];
  readonly clusterrolebindings: readonly Draft<ClusterRoleBinding>[];
  readonly roles: readonly Draft<Role>[];
  readonly rolebindings: readonly Draft<RoleBinding>[];
}

/** Role by subjects; the binding is named after the role. */
const BINDINGS: readonly (readonly [role: string, ...subjects: readonly RbacSubject[]])[] = [
  ['cluster-admin', group(GROUP.masters)],
  ['system:monitoring', group('system:monitoring')],
  ['system:discovery', group(GROUP.authenticated)],
  ['system:basic-user', group(GROUP.authenticated)],
  ['system:public-info-viewer', group(GROUP.authenticated), group(GROUP.unauthenticated)],
  ['system:service-account-issuer-discovery', group(GROUP.serviceAccounts)],
  ['system:node-proxier', user('system:kube-proxy')],
  ['system:kube-controller-manager', user('system:kube-controller-manager')],
  ['system:kube-scheduler', user('system:kube-scheduler')],
  ['system:volume-scheduler', user('system:kube-scheduler')],
  ['system:kube-dns', account('kube-system', 'kube-dns')],
];

interface RoleInNamespace {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  readonly subjects: readonly RbacSubject[];
}

const NAMESPACED: readonly RoleInNamespace[] = [
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [
      { ...on('', ['configmaps'], READ), resourceNames: ['extension-apiserver-authentication'] },
    ],
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:bootstrap-signer',
    rules: [on('', ['secrets'], READ)],
    subjects: [account('kube-system', 'bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:token-cleaner',
    rules: [
      on('', ['secrets'], [...READ, 'delete']),
      on('', ['events'], ['create', 'patch', 'update']),
    ],
    subjects: [account('kube-system', 'token-cleaner')],
  },
];

/** All default objects. */
export function bootstrapPolicy(): Policy {
  const controllers = CONTROLLER_ROLES.map((row) => ({
    ...row,
    name: `${CONTROLLER_PREFIX}${row.name}`,
  }));
  return {
    clusterroles: [...CLUSTER_ROLES, ...controllers].map(clusterRole),
    clusterrolebindings: [
      ...BINDINGS.map(([role, ...subjects]) => clusterRoleBinding(role, subjects)),
      ...CONTROLLER_ROLES.map(({ name }) =>
        clusterRoleBinding(`${CONTROLLER_PREFIX}${name}`, [account('kube-system', name)]),
      ),
    ],
    roles: NAMESPACED.map(({ namespace, name, rules }) => ({
      apiVersion: API_VERSION,
      kind: 'Role',
      metadata: { ...metadata(name), namespace },
      rules,
    })),
    rolebindings: NAMESPACED.map(({ namespace, name, subjects }) => ({
      apiVersion: API_VERSION,
      kind: 'RoleBinding',
      metadata: { ...metadata(name), namespace },
      roleRef: { apiGroup: API_GROUP, kind: 'Role', name },
      subjects,
    })),
  };
}

/** The label that puts a role's rules into another role. */
function aggregationLabel(role: string): string {
  return `${API_GROUP}/aggregate-to-${role}`;
}

function metadata(name: string) {
  return { name, labels: LABELS, annotations: ANNOTATIONS };
}

function clusterRole({ name, rules, aggregateTo, isAggregated }: RoleRow): Draft<ClusterRole> {
  const labels = aggregateTo ? { ...LABELS, [aggregationLabel(aggregateTo)]: 'true' } : LABELS;
  return {
    ...(isAggregated
      ? {
          aggregationRule: {
            clusterRoleSelectors: [{ matchLabels: { [aggregationLabel(name)]: 'true' } }],
          },
        }
      : {}),
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata: { ...metadata(name), labels },
    rules: rules ?? [],
  };
}

function clusterRoleBinding(
  role: string,
  subjects: readonly RbacSubject[],
): Draft<ClusterRoleBinding> {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: metadata(role),
    roleRef: { apiGroup: API_GROUP, kind: 'ClusterRole', name: role },
    subjects,
  };
}

function group(name: string): RbacSubject {
  return { apiGroup: API_GROUP, kind: 'Group', name };
}

function user(name: string): RbacSubject {
  return { apiGroup: API_GROUP, kind: 'User', name };
}

function account(namespace: string, name: string): RbacSubject {
  return { kind: 'ServiceAccount', name, namespace };
}
