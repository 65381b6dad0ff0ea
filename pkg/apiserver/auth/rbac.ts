/**
 * The RBAC authorizer: bindings indexed by subject, so that a decision looks only at what its user is bound to.
 * The index is built at the first question after invalidate(), which whoever sees RBAC objects change calls.
 */

import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacSubject,
  Role,
  RoleBinding,
  RoleRef,
} from '../../api/generated/types.ts';
import type { Attributes, Authorizer, Registry, User } from '../contract.ts';
import { ruleAllows } from './rules.ts';
import { serviceAccountUser } from './users.ts';

interface Grant {
  readonly rules: readonly PolicyRule[];
  /** Of which binding, to which role. */
  readonly source: string;
}

/** Grants by subject. */
type Grants = Map<string, Grant[]>;

interface Index {
  readonly cluster: Grants;
  readonly namespaces: ReadonlyMap<string, Grants>;
}

export interface Rbac extends Authorizer {
  /** RBAC objects changed: the next question reads them anew. */
  invalidate(): void;
  /** All rules that hold for a user in a namespace, those of the whole cluster included; '' = only these. */
  rulesFor(user: User, namespace: string): readonly PolicyRule[];
}

export function createRbac(registry: Registry): Rbac {
  let index: Index | undefined;
  const current = () => {
    index ??= build(registry);
    return index;
  };
  return {
    invalidate() {
      index = undefined;
    },
    authorize(attributes) {
      for (const grant of grantsFor(current(), attributes.user, namespaceOf(attributes))) {
        if (grant.rules.some((rule) => ruleAllows(rule, attributes))) {
          return { isAllowed: true, reason: `RBAC: allowed by ${grant.source}` };
        }
      }
      return { isAllowed: false, reason: '' };
    },
    rulesFor: (user, namespace) =>
      [...grantsFor(current(), user, namespace)].flatMap(({ rules }) => rules),
  };
}

function namespaceOf({ isResource, namespace }: Attributes): string {
  return isResource ? namespace : '';
}

function* grantsFor(index: Index, user: User, namespace: string): Generator<Grant> {
  const subjects = [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
  for (const subject of subjects) yield* index.cluster.get(subject) ?? [];
  const local = namespace ? index.namespaces.get(namespace) : undefined;
  if (!local) return;
  for (const subject of subjects) yield* local.get(subject) ?? [];
}

function build(registry: Registry): Index {
  const cluster: Grants = new Map();
  for (const binding of registry.list<ClusterRoleBinding>('clusterrolebindings').items) {
    const { roleRef, subjects, metadata } = binding;
    const source = `ClusterRoleBinding "${metadata.name}" of ClusterRole "${roleRef.name}"`;
    add(cluster, { subjects, source, namespace: '', rules: rulesOf(registry, roleRef, '') });
  }
  const namespaces = new Map<string, Grants>();
  for (const { roleRef, subjects, metadata } of registry.list<RoleBinding>('rolebindings').items) {
    const namespace = metadata.namespace ?? '';
    const grants = namespaces.get(namespace) ?? new Map<string, Grant[]>();
    namespaces.set(namespace, grants);
    const source = `RoleBinding "${metadata.name}/${namespace}" of ${roleRef.kind} "${roleRef.name}"`;
    add(grants, { subjects, source, namespace, rules: rulesOf(registry, roleRef, namespace) });
  }
  return { cluster, namespaces };
}

/** The rules of the role that a binding in this namespace names; none when the role does not exist. */
export function rulesOf(
  registry: Registry,
  { kind, name }: RoleRef,
  namespace: string,
): readonly PolicyRule[] {
  const role =
    kind === 'Role'
      ? registry.get<Role>('roles', { namespace, name })
      : registry.get<ClusterRole>('clusterroles', { name });
  return role?.rules ?? [];
}

interface Binding {
  readonly subjects: readonly RbacSubject[] | undefined;
  readonly namespace: string;
  readonly source: string;
  readonly rules: readonly PolicyRule[];
}

function add(grants: Grants, { subjects, namespace, source, rules }: Binding): void {
  for (const subject of subjects ?? []) {
    const isAccount = subject.kind === 'ServiceAccount';
    const key = isAccount
      ? `User:${serviceAccountUser(subject.namespace ?? namespace, subject.name)}`
      : `${subject.kind}:${subject.name}`;
    const held = grants.get(key) ?? [];
    grants.set(key, held);
    const shown = isAccount ? `${subject.name}/${subject.namespace ?? namespace}` : subject.name;
    held.push({ rules, source: `${source} to ${subject.kind} "${shown}"` });
  }
}
