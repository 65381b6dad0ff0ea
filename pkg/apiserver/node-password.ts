/**
 * Which host a node name belongs to: the hash of a password that each host makes for itself, in a Secret
 * `<name>.node-password.mini` of kube-system. Source of the idea: k3s.
 */

import { createHash, randomBytes } from 'node:crypto';
import { isReason } from '../api/errors.ts';
import type { Secret } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { secretsEqual } from '../pki/token.ts';
import type { Registry } from './contract.ts';

const NAMESPACE = 'kube-system';
/** A name whose Node was deleted is free again, but not while its first host is still about to register. */
const REGISTER_MS = 60_000;

export interface NodeClaim {
  readonly nodeName: string;
  readonly nodePassword: string;
  readonly now: number;
  /** The host has shown the node's own certificate: a password that it lost is replaced. */
  readonly isProven: boolean;
}

/** Claims a name for the host with this password; 'other' when it is another host's. */
export async function claimNodeName(
  registry: Registry,
  claim: NodeClaim,
): Promise<'own' | 'other'> {
  const ref = { namespace: NAMESPACE, name: `${claim.nodeName}.node-password.mini` };
  const found = registry.get<Secret>('secrets', ref);
  if (!found) return await create(registry, ref, claim);
  if (matches(found, claim.nodePassword)) return 'own';
  if (claim.isProven) {
    await registry.modify<Secret>('secrets', ref, (secret) => ({ ...secret, ...dataOf(claim) }));
    return 'own';
  }
  const isFree =
    registry.get<ApiObject>('nodes', { name: claim.nodeName }) === undefined &&
    claim.now - Date.parse(found.metadata.creationTimestamp) > REGISTER_MS;
  if (!isFree) return 'other';
  await registry.delete('secrets', ref);
  return await create(registry, ref, claim);
}

async function create(
  registry: Registry,
  ref: { readonly namespace: string; readonly name: string },
  claim: NodeClaim,
): Promise<'own' | 'other'> {
  try {
    await registry.create<Secret>('secrets', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: ref,
      type: 'Opaque',
      ...dataOf(claim),
    });
    return 'own';
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const winner = registry.get<Secret>('secrets', ref);
    return winner && matches(winner, claim.nodePassword) ? 'own' : 'other';
  }
}

function dataOf({ nodePassword }: NodeClaim): Pick<Secret, 'data'> {
  const salt = randomBytes(16).toString('hex');
  const hash = Buffer.from(`${salt}:${hashOf(salt, nodePassword)}`).toString('base64');
  return { data: { hash } };
}

function matches({ data }: Secret, password: string): boolean {
  const [salt = '', hash = ''] = Buffer.from(data?.['hash'] ?? '', 'base64')
    .toString()
    .split(':');
  return hash !== '' && secretsEqual(hash, hashOf(salt, password));
}

/** The password is 128 random bits, so one round of a fast hash is enough. */
function hashOf(salt: string, password: string): string {
  return createHash('sha256').update(`${salt}:${password}`).digest('hex');
}
