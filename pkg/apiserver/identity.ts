/** Who a request is from: authentication, then impersonation if the client asks for it and may. */

import { TLSSocket } from 'node:tls';
import { badRequest, forbidden } from '../api/errors.ts';
import type { Authenticator, Authorizer, Credentials, User } from './contract.ts';
import type { Headers } from './exchange.ts';

const AUTHENTICATED = 'system:authenticated';
const EXTRA_PREFIX = 'impersonate-extra-';
const SERVICE_ACCOUNT = 'system:serviceaccount:';

export interface Gate {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
}

/** The user of a request. Throws Unauthorized, and Forbidden for impersonation that is not allowed. */
export async function identify(
  { authenticator, authorizer }: Gate,
  credentials: Credentials & { readonly tunnelUser?: User },
): Promise<User> {
  const { tunnelUser, headers } = credentials;
  const isOwn = tunnelUser !== undefined && headers['authorization'] === undefined;
  const user = isOwn ? tunnelUser : await authenticator.authenticate(credentials);
  return impersonated({ authorizer, headers }, user);
}

/** The user that the headers ask to act as, or `user` itself. */
function impersonated(gate: { authorizer: Authorizer; headers: Headers }, user: User): User {
  const { authorizer, headers } = gate;
  const name = headers['impersonate-user'];
  const groups = listed(headers['impersonate-group']);
  const uid = headers['impersonate-uid'];
  const extra = extraOf(headers);
  if (!name) {
    if (groups.length > 0 || uid || Object.keys(extra).length > 0) {
      throw badRequest('requested impersonation without a user name');
    }
    return user;
  }
  const check = (resource: string, target: string) =>
    allow(authorizer, { user, resource, name: target });
  const account = serviceAccountOf(name);
  if (account) allow(authorizer, { user, resource: 'serviceaccounts', ...account });
  else check('users', name);
  for (const group of groups) check('groups', group);
  if (uid) check('uids', uid);
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) {
      allow(authorizer, { user, resource: 'userextras', subresource: key, name: value });
    }
  }
  return {
    name,
    ...(uid ? { uid } : {}),
    groups: groupsOf(name, groups, account?.namespace),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function groupsOf(name: string, asked: readonly string[], namespace?: string): readonly string[] {
  const own = namespace ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : [];
  const base = asked.length > 0 ? asked : own;
  const last = name === 'system:anonymous' ? 'system:unauthenticated' : AUTHENTICATED;
  return base.includes(last) ? base : [...base, last];
}

function serviceAccountOf(name: string) {
  if (!name.startsWith(SERVICE_ACCOUNT)) return undefined;
  const [namespace, account, ...rest] = name.slice(SERVICE_ACCOUNT.length).split(':');
  return namespace && account && rest.length === 0 ? { namespace, name: account } : undefined;
}

interface Impersonation {
  readonly user: User;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name: string;
}

function allow(authorizer: Authorizer, impersonation: Impersonation): void {
  const { user, resource, subresource = '', namespace = '', name } = impersonation;
  const isAuthentication = resource === 'userextras' || resource === 'uids';
  const decision = authorizer.authorize({
    user,
    verb: 'impersonate',
    isResource: true,
    group: isAuthentication ? 'authentication.k8s.io' : '',
    version: 'v1',
    resource,
    subresource,
    namespace,
    name,
    path: '',
  });
  if (decision.isAllowed) return;
  throw forbidden(
    { plural: resource, group: isAuthentication ? 'authentication.k8s.io' : '' },
    name,
    `User "${user.name}" cannot impersonate resource "${resource}" in API group "" at the cluster scope`,
  );
}

function listed(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function extraOf(headers: Headers): Readonly<Record<string, readonly string[]>> {
  const extra: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(EXTRA_PREFIX) || !value) continue;
    extra[unescaped(name.slice(EXTRA_PREFIX.length))] = listed(value);
  }
  return extra;
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch (error) {
    throw badRequest(`invalid impersonation header: ${EXTRA_PREFIX}${key}`, error);
  }
}

/** The client certificate of a TLS connection that its CA vouches for. */
export function peerOf(socket: object): Credentials['certificate'] {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  const commonName = textOf(subject?.CN);
  if (!commonName) return undefined;
  const organizations: unknown = subject.O;
  return { commonName, organizations: listOfTexts(organizations) };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOfTexts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
