/**
 * Admission that keeps users from giving more than they hold: who writes a role must hold its rules (or `escalate`),
 * who binds one must hold its rules (or `bind`). Source: Kubernetes' rbac registry, policybased storage.
 */

import { isDeepStrictEqual } from 'node:util';
import { forbidden } from '../../api/errors.ts';
import type { ClusterRole, PolicyRule, RoleBinding } from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Admission, AdmissionRequest, Authorizer } from '../contract.ts';
import { type Rbac, rulesOf } from './rbac.ts';
import { formatRule, uncovered } from './rules.ts';
import { GROUP } from './users.ts';

const API_GROUP = 'rbac.authorization.k8s.io';

export interface EscalationOptions {
  readonly authorizer: Authorizer;
  readonly rbac: Rbac;
}

export function createEscalationCheck(options: EscalationOptions): Admission {
  return {
    name: 'RBACEscalation',
    admit(request) {
      const { group, operation, user, subresource, object } = request;
      const isWrite = operation === 'CREATE' || operation === 'UPDATE';
      if (group !== API_GROUP || subresource || !isWrite || user.groups.includes(GROUP.masters))
        return object;
      if (isRole(object)) checkRole(options, request, object);
      if (isBinding(object)) checkBinding(options, request, object);
      return object;
    },
  };
}

function checkRole(options: EscalationOptions, request: AdmissionRequest, role: ClusterRole): void {
  const old = isRole(request.old) ? request.old : undefined;
  const isSame =
    old !== undefined &&
    isDeepStrictEqual(old.rules ?? [], role.rules ?? []) &&
    isDeepStrictEqual(old.aggregationRule, role.aggregationRule);
  if (
    isSame ||
    mayAnyway(options, request, {
      verb: 'escalate',
      resource: request.resource,
      name: request.name,
    })
  )
    return;
  // What an aggregated role will hold is not known here, so it takes all rights to write one.
  const isAggregated =
    role.aggregationRule !== undefined &&
    !isDeepStrictEqual(old?.aggregationRule, role.aggregationRule);
  const rules = isAggregated ? [...(role.rules ?? []), ...EVERYTHING] : (role.rules ?? []);
  refuseGain(options, request, rules);
}

const EVERYTHING: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

function checkBinding(
  options: EscalationOptions,
  request: AdmissionRequest,
  binding: RoleBinding,
): void {
  const old = isBinding(request.old) ? request.old : undefined;
  const isSame =
    old !== undefined &&
    isDeepStrictEqual(old.roleRef, binding.roleRef) &&
    isDeepStrictEqual(old.subjects ?? [], binding.subjects ?? []);
  const { kind, name } = binding.roleRef;
  const resource = kind === 'Role' ? 'roles' : 'clusterroles';
  if (isSame || mayAnyway(options, request, { verb: 'bind', resource, name })) return;
  refuseGain(options, request, rulesOf(request.registry, binding.roleRef, request.namespace));
}

function mayAnyway(
  { authorizer }: EscalationOptions,
  { user, namespace }: AdmissionRequest,
  target: { readonly verb: string; readonly resource: string; readonly name: string },
): boolean {
  const fixed = { isResource: true, group: API_GROUP, version: 'v1', subresource: '', path: '' };
  return authorizer.authorize({ user, namespace, ...fixed, ...target }).isAllowed;
}

function refuseGain(
  { rbac }: EscalationOptions,
  { user, namespace, resource, name, object }: AdmissionRequest,
  rules: readonly PolicyRule[],
): void {
  const gained = uncovered(rbac.rulesFor(user, namespace), rules);
  if (gained.length === 0) return;
  const list = gained.map(formatRule).join('\n');
  throw forbidden(
    { plural: resource, group: API_GROUP },
    name || (object?.metadata.name ?? ''),
    `user "${user.name}" (groups=${JSON.stringify(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${list}`,
  );
}

function isRole(object: ApiObject | undefined): object is ClusterRole {
  return object?.kind === 'ClusterRole' || object?.kind === 'Role';
}

function isBinding(object: ApiObject | undefined): object is RoleBinding {
  return object?.kind === 'ClusterRoleBinding' || object?.kind === 'RoleBinding';
}
