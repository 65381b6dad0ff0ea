/** Who a service-account token is, as long as its account and what it is bound to live. Source: KEP-1205. */

import type { ApiObject, Ref } from '../../api/meta.ts';
import type { Registry, User } from '../contract.ts';
import { type BoundRef, TokenError, type TokenSigner, type VerifiedToken } from './token-signer.ts';
import { serviceAccountGroups, serviceAccountUser } from './users.ts';

/** Verified signatures that are remembered; a token is checked against the objects at each use all the same. */
const MAX_REMEMBERED = 1_024;
const REMEMBER_MS = 10_000;

interface Remembered {
  readonly verified: VerifiedToken;
  readonly untilMs: number;
}

export interface AccountTokens {
  /** The user that a token is and the audiences that it is good for. Throws TokenError. */
  verify(
    token: string,
    audiences: readonly string[],
  ): Promise<{ readonly user: User; readonly audiences: readonly string[] }>;
}

export function createAccountTokens(options: {
  readonly registry: Registry;
  readonly signer: TokenSigner;
  readonly now: () => number;
}): AccountTokens {
  const { registry, signer, now } = options;
  const remembered = new Map<string, Remembered>();
  return {
    async verify(token, audiences) {
      const key = `${audiences.join(' ')}\n${token}`;
      const known = remembered.get(key);
      const isFresh = known !== undefined && known.untilMs > now();
      const verified = isFresh ? known.verified : await signer.verify(token, audiences);
      if (!isFresh) {
        if (remembered.size >= MAX_REMEMBERED) remembered.clear();
        remembered.set(key, { verified, untilMs: now() + REMEMBER_MS });
      }
      return {
        user: liveUser(verified, registry),
        audiences: verified.audiences.filter((audience) => audiences.includes(audience)),
      };
    },
  };
}

function liveUser({ claims, id }: VerifiedToken, registry: Registry): User {
  const { namespace, serviceaccount, pod, secret, node } = claims;
  const check = (resource: string, ref: Ref, uid: string) => {
    const found = registry.get<ApiObject>(resource, ref);
    if (found?.metadata.uid !== uid) {
      throw new TokenError(`the token is bound to ${resource} "${ref.name}", which is gone`);
    }
  };
  check('serviceaccounts', { namespace, name: serviceaccount.name }, serviceaccount.uid);
  if (pod) check('pods', { namespace, name: pod.name }, pod.uid);
  if (secret) check('secrets', { namespace, name: secret.name }, secret.uid);
  // A token of a pod names its node for information; one bound to a node alone lives with the node.
  if (node && !pod) check('nodes', { name: node.name }, node.uid);
  return {
    name: serviceAccountUser(namespace, serviceaccount.name),
    uid: serviceaccount.uid,
    groups: serviceAccountGroups(namespace),
    extra: {
      ...(id ? { 'authentication.kubernetes.io/credential-id': [`JTI=${id}`] } : {}),
      ...named('pod', pod),
      ...named('node', node),
    },
  };
}

function named(kind: string, ref: BoundRef | undefined): Record<string, readonly string[]> {
  if (!ref) return {};
  const prefix = `authentication.kubernetes.io/${kind}`;
  return { [`${prefix}-name`]: [ref.name], [`${prefix}-uid`]: [ref.uid] };
}
