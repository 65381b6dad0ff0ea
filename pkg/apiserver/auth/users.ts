/** Users and groups that Kubernetes gives a meaning to. */

import type { User } from '../contract.ts';

export const GROUP = {
  masters: 'system:masters',
  authenticated: 'system:authenticated',
  unauthenticated: 'system:unauthenticated',
  nodes: 'system:nodes',
  serviceAccounts: 'system:serviceaccounts',
  bootstrappers: 'system:bootstrappers',
} as const;

const SERVICE_ACCOUNT_PREFIX = 'system:serviceaccount:';

export const ANONYMOUS: User = { name: 'system:anonymous', groups: [GROUP.unauthenticated] };

/** The user that a service account is. */
export function serviceAccountUser(namespace: string, name: string): string {
  return `${SERVICE_ACCOUNT_PREFIX}${namespace}:${name}`;
}

/** The groups that a service account belongs to, without system:authenticated. */
export function serviceAccountGroups(namespace: string): readonly string[] {
  return [GROUP.serviceAccounts, `${GROUP.serviceAccounts}:${namespace}`];
}

/** This user with system:authenticated among its groups. */
export function authenticated(user: User): User {
  if (user.groups.includes(GROUP.authenticated)) return user;
  return { ...user, groups: [...user.groups, GROUP.authenticated] };
}
