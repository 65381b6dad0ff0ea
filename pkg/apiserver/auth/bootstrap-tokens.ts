/**
 * Bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token in kube-system, as kubeadm and k3s keep them.
 * Joining and authentication look them up here; `mini token` writes the same Secrets through the API.
 */

import type { Secret } from '../../api/generated/types.ts';
import { newBootstrapToken, secretsEqual } from '../../pki/token.ts';
import type { Registry, User } from '../contract.ts';
import { GROUP } from './users.ts';

const NAMESPACE = 'kube-system';
const TYPE = 'bootstrap.kubernetes.io/token';
const NAME_PREFIX = 'bootstrap-token-';
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** `signing`: may be used to join; `authentication`: may be used as a bearer token. */
export type BootstrapUse = 'signing' | 'authentication';

export type BootstrapResult =
  | { readonly kind: 'valid'; readonly user: User }
  | { readonly kind: 'unknown' | 'wrong' | 'expired' | 'unused' };

export interface BootstrapTokenOptions {
  /** Absent = it never expires. */
  readonly ttlMs?: number;
  readonly description?: string;
  readonly groups?: readonly string[];
  readonly now: number;
}

/** A new token and the Secret to create for it. */
export function newBootstrapSecret(options: BootstrapTokenOptions) {
  const { id, secret } = newBootstrapToken();
  const { ttlMs, description, groups, now } = options;
  const text: Record<string, string> = {
    'token-id': id,
    'token-secret': secret,
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    'auth-extra-groups': (groups ?? ['system:bootstrappers:mini:default-node-token']).join(','),
    ...(description ? { description } : {}),
    ...(ttlMs === undefined ? {} : { expiration: wholeSeconds(now + ttlMs) }),
  };
  const data = Object.fromEntries(Object.entries(text).map(([key, value]) => [key, encode(value)]));
  return {
    id,
    secret,
    object: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `${NAME_PREFIX}${id}`, namespace: NAMESPACE },
      type: TYPE,
      data,
    },
  };
}

/** Looks a token up and says whether it is good for this use now. */
export function checkBootstrapToken(
  registry: Registry,
  asked: { id: string; secret: string; use: BootstrapUse; now: number },
): BootstrapResult {
  const ref = { namespace: NAMESPACE, name: `${NAME_PREFIX}${asked.id}` };
  const found = registry.get<Secret>('secrets', ref);
  if (!found || found.type !== TYPE || found.metadata.deletionTimestamp) return { kind: 'unknown' };
  const read = (key: string) => Buffer.from(found.data?.[key] ?? '', 'base64').toString();
  if (read('token-id') !== asked.id || !secretsEqual(read('token-secret'), asked.secret)) {
    return { kind: 'wrong' };
  }
  const expiration = read('expiration');
  // An expiry that cannot be read counts as past, as in Kubernetes.
  if (expiration && !(Date.parse(expiration) > asked.now)) return { kind: 'expired' };
  if (read(`usage-bootstrap-${asked.use}`) !== 'true') return { kind: 'unused' };
  const extra = read('auth-extra-groups')
    .split(',')
    .filter((group) => EXTRA_GROUP.test(group));
  return {
    kind: 'valid',
    user: { name: `system:bootstrap:${asked.id}`, groups: [GROUP.bootstrappers, ...extra] },
  };
}

/** Deletes tokens that have expired; resolves to how many. */
export async function deleteExpiredTokens(registry: Registry, now: number): Promise<number> {
  let count = 0;
  for (const { type, data, metadata } of registry.list<Secret>('secrets', NAMESPACE).items) {
    const expiration = Buffer.from(data?.['expiration'] ?? '', 'base64').toString();
    if (type !== TYPE || !expiration || !(Date.parse(expiration) <= now)) continue;
    await registry.delete('secrets', metadata);
    count += 1;
  }
  return count;
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function wholeSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
