/**
 * Brings the default RBAC objects into the store at start: missing ones are created, missing rules and subjects
 * added, an operator's additions kept. All writes go out together, so that they share one sync of the disk.
 */

import { isReason } from '../../../api/errors.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacSubject,
  Role,
  RoleBinding,
} from '../../../api/generated/types.ts';
import type { ApiObject, Draft } from '../../../api/meta.ts';
import type { Registry } from '../../contract.ts';
import { aggregateClusterRoles, aggregatedRules } from '../aggregation.ts';
import { uncovered } from '../rules.ts';
import { AUTO_UPDATE, bootstrapPolicy, type Policy } from './policy.ts';

type AnyRole = ClusterRole | Role;
type AnyBinding = ClusterRoleBinding | RoleBinding;

/** Resolves once all defaults are there; the namespaces they live in must exist. */
export async function reconcileBootstrapPolicy(registry: Registry): Promise<void> {
  const policy = bootstrapPolicy();
  await Promise.all([
    ...aggregated(policy).map((role) => ensureRole(registry, 'clusterroles', role)),
    ...policy.roles.map((role) => ensureRole(registry, 'roles', role)),
    ...policy.clusterrolebindings.map((one) => ensureBinding(registry, 'clusterrolebindings', one)),
    ...policy.rolebindings.map((one) => ensureBinding(registry, 'rolebindings', one)),
  ]);
  await aggregateClusterRoles(registry);
}

/** The roles with what aggregates into them, so that a first start writes each once. */
function aggregated(policy: Policy): readonly Draft<ClusterRole>[] {
  let roles = policy.clusterroles;
  // view goes into edit and edit into admin: three passes settle it.
  for (let pass = 0; pass < 3; pass += 1) {
    const named = roles.map((role) => ({
      ...role,
      metadata: { ...role.metadata, ...EMPTY, name: role.metadata.name ?? '' },
    }));
    roles = named.map((role) => ({
      ...role,
      rules: aggregatedRules(role, named) ?? role.rules ?? [],
    }));
  }
  return policy.clusterroles.map((role, index) => ({ ...role, rules: roles[index]?.rules ?? [] }));
}

const EMPTY = { uid: '', resourceVersion: '', creationTimestamp: '' };

async function ensureRole<T extends AnyRole>(
  registry: Registry,
  resource: string,
  wanted: Draft<T>,
): Promise<void> {
  const ref = refTo(wanted);
  const found = registry.get<T>(resource, ref);
  if (!found) return create(registry, resource, wanted);
  if (found.metadata.annotations?.[AUTO_UPDATE] === 'false' || 'aggregationRule' in found) return;
  const missing = uncovered(found.rules ?? [], rulesIn(wanted));
  if (missing.length === 0) return;
  await registry.modify<T>(resource, ref, (current) => ({
    ...current,
    rules: [...(current.rules ?? []), ...uncovered(current.rules ?? [], rulesIn(wanted))],
  }));
}

async function ensureBinding<T extends AnyBinding>(
  registry: Registry,
  resource: string,
  wanted: Draft<T>,
): Promise<void> {
  const ref = refTo(wanted);
  const found = registry.get<T>(resource, ref);
  if (!found) return create(registry, resource, wanted);
  if (found.metadata.annotations?.[AUTO_UPDATE] === 'false') return;
  const subjects = subjectsIn(wanted);
  const lacks = (binding: T) =>
    subjects.filter((one) => !(binding.subjects ?? []).some((has) => isSame(has, one)));
  if (lacks(found).length === 0) return;
  await registry.modify<T>(resource, ref, (current) => ({
    ...current,
    subjects: [...(current.subjects ?? []), ...lacks(current)],
  }));
}

async function create<T extends ApiObject>(
  registry: Registry,
  resource: string,
  object: Draft<T>,
): Promise<void> {
  try {
    await registry.create<T>(resource, object);
  } catch (error) {
    // Another server on the same store was faster.
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}

function refTo({
  metadata,
}: {
  readonly metadata: { readonly name?: string; readonly namespace?: string };
}) {
  const { name = '', namespace } = metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

function rulesIn(role: {
  readonly rules?: readonly PolicyRule[] | undefined;
}): readonly PolicyRule[] {
  return role.rules ?? [];
}

function subjectsIn(binding: {
  readonly subjects?: readonly RbacSubject[] | undefined;
}): readonly RbacSubject[] {
  return binding.subjects ?? [];
}

function isSame(a: RbacSubject, b: RbacSubject): boolean {
  return a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '');
}
