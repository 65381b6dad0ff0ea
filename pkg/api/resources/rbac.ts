/** Roles and their bindings. Source: kubernetes pkg/apis/rbac. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  invalidEach,
  invalidValue,
  isSame,
  notSupported,
  oneOf,
  required,
} from '../field-errors.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacSubject,
  Role,
  RoleBinding,
} from '../generated/types.ts';
import { validateLabels } from '../meta-validation.ts';
import { dnsSubdomain, pathSegmentName } from '../names.ts';
import type { Column, Resource } from '../resource.ts';
import { AGE, DEFAULT_COLUMNS, NAME, text, wide } from './columns.ts';

const GROUP = 'rbac.authorization.k8s.io';

function ruleCauses(isNamespaced: boolean): (rule: PolicyRule, path: string) => Causes {
  return (rule, path) => {
    const { verbs, nonResourceURLs: urls = [], apiGroups = [], resources = [] } = rule;
    const verbless = verbs?.length
      ? []
      : [required(`${path}.verbs`, 'verbs must contain at least one value')];
    if (urls.length > 0) return [...verbless, ...urlCauses(rule, path, isNamespaced)];
    return [
      ...verbless,
      ...(apiGroups.length > 0
        ? []
        : [required(`${path}.apiGroups`, 'resource rules must supply at least one api group')]),
      ...(resources.length > 0
        ? []
        : [required(`${path}.resources`, 'resource rules must supply at least one resource')]),
    ];
  };
}

function urlCauses(rule: PolicyRule, path: string, isNamespaced: boolean): Causes {
  const field = `${path}.nonResourceURLs`;
  const urls = rule.nonResourceURLs;
  const isMixed = [rule.apiGroups, rule.resources, rule.resourceNames].some((list) => list?.length);
  return [
    ...(isNamespaced
      ? [invalidValue(field, urls, 'namespaced rules cannot apply to non-resource URLs')]
      : []),
    ...(isMixed
      ? [
          invalidValue(
            field,
            urls,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        ]
      : []),
  ];
}

export const roles: Resource<Role> = {
  gvk: [GROUP, 'v1', 'Role'],
  names: { plural: 'roles', singular: 'role' },
  namespaced: true,
  type: 'io.k8s.api.rbac.v1.Role',
  validateName: pathSegmentName,
  validate: ({ rules }) => each('rules', rules, ruleCauses(true)),
  columns: DEFAULT_COLUMNS,
};

function aggregationCauses({ aggregationRule }: ClusterRole): Causes {
  if (!aggregationRule) return [];
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = aggregationRule.clusterRoleSelectors;
  if (!selectors?.length) {
    return [
      required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil'),
    ];
  }
  return each(field, selectors, ({ matchLabels }, path) =>
    validateLabels(`${path}.matchLabels`, matchLabels),
  );
}

export const clusterroles: Resource<ClusterRole> = {
  gvk: [GROUP, 'v1', 'ClusterRole'],
  names: { plural: 'clusterroles', singular: 'clusterrole' },
  namespaced: false,
  type: 'io.k8s.api.rbac.v1.ClusterRole',
  validateName: pathSegmentName,
  validate: (role) => [...each('rules', role.rules, ruleCauses(false)), ...aggregationCauses(role)],
  columns: DEFAULT_COLUMNS,
};

type AnyBinding = RoleBinding | ClusterRoleBinding;

function subjectDefaults(subject: RbacSubject): RbacSubject {
  return subject.kind === 'User' || subject.kind === 'Group'
    ? fill(subject, { apiGroup: GROUP })
    : subject;
}

function bindingDefaults<T extends AnyBinding>(binding: T): T {
  return change<AnyBinding>(binding, {
    roleRef: (ref) => (ref.apiGroup ? ref : { ...ref, apiGroup: GROUP }),
    subjects: eachItem(subjectDefaults),
    // Only fields that both kinds have were changed.
  }) as T;
}

function subjectCauses(isNamespaced: boolean): (subject: RbacSubject, path: string) => Causes {
  return ({ kind, name, apiGroup = '', namespace }, path) => {
    const nameless = name ? [] : [required(`${path}.name`)];
    if (kind === 'User' || kind === 'Group') {
      return [...nameless, ...oneOf(`${path}.apiGroup`, apiGroup, [GROUP])];
    }
    if (kind !== 'ServiceAccount') {
      return [...nameless, notSupported(`${path}.kind`, kind, ['ServiceAccount', 'User', 'Group'])];
    }
    return [
      ...nameless,
      ...(name ? invalidEach(`${path}.name`, name, dnsSubdomain(name)) : []),
      ...oneOf(`${path}.apiGroup`, apiGroup, ['']),
      ...(!isNamespaced && !namespace ? [required(`${path}.namespace`)] : []),
    ];
  };
}

function bindingCauses(binding: AnyBinding, isNamespaced: boolean): Causes {
  const { roleRef, subjects } = binding;
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  return [
    ...oneOf('roleRef.apiGroup', roleRef?.apiGroup, [GROUP]),
    ...oneOf('roleRef.kind', roleRef?.kind ?? '', kinds),
    ...(roleRef?.name
      ? invalidEach('roleRef.name', roleRef.name, pathSegmentName(roleRef.name))
      : [required('roleRef.name')]),
    ...each('subjects', subjects, subjectCauses(isNamespaced)),
  ];
}

function roleRefKept({ roleRef }: AnyBinding, old: AnyBinding): Causes {
  return isSame(roleRef, old.roleRef)
    ? []
    : [invalidValue('roleRef', roleRef, 'cannot change roleRef')];
}

function subjectNames(kind: string): (binding: AnyBinding) => string {
  return ({ subjects }) =>
    (subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map(({ name, namespace = '' }) =>
        kind === 'ServiceAccount' ? `${namespace}/${name}` : name,
      )
      .join(', ');
}

const BINDING_COLUMNS: readonly Column<AnyBinding>[] = [
  NAME,
  text('Role', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  AGE,
  wide(text('Users', subjectNames('User'))),
  wide(text('Groups', subjectNames('Group'))),
  wide(text('ServiceAccounts', subjectNames('ServiceAccount'))),
];

export const rolebindings: Resource<RoleBinding> = {
  gvk: [GROUP, 'v1', 'RoleBinding'],
  names: { plural: 'rolebindings', singular: 'rolebinding' },
  namespaced: true,
  type: 'io.k8s.api.rbac.v1.RoleBinding',
  validateName: pathSegmentName,
  defaults: (binding) => bindingDefaults(binding),
  validate: (binding) => bindingCauses(binding, true),
  validateUpdate: roleRefKept,
  columns: BINDING_COLUMNS,
};

export const clusterrolebindings: Resource<ClusterRoleBinding> = {
  gvk: [GROUP, 'v1', 'ClusterRoleBinding'],
  names: { plural: 'clusterrolebindings', singular: 'clusterrolebinding' },
  namespaced: false,
  type: 'io.k8s.api.rbac.v1.ClusterRoleBinding',
  validateName: pathSegmentName,
  defaults: (binding) => bindingDefaults(binding),
  validate: (binding) => bindingCauses(binding, false),
  validateUpdate: roleRefKept,
  columns: BINDING_COLUMNS,
};
