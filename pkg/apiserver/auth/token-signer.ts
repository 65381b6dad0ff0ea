/**
 * Service-account tokens: ES256 or RS256 JWTs as Kubernetes issues them. `jose` is loaded with the first token,
 * not at start. Whether the account and what a token is bound to still exist is service-account-tokens.ts' matter.
 */

import { createHash, type KeyObject, randomUUID } from 'node:crypto';

/** The issuer of a cluster whose API is reached under this name. */
export const DEFAULT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface BoundRef {
  readonly name: string;
  readonly uid: string;
}

/** What a token says; the claim `kubernetes.io`. */
export interface KubernetesClaims {
  readonly namespace: string;
  readonly serviceaccount: BoundRef;
  readonly pod?: BoundRef;
  readonly secret?: BoundRef;
  readonly node?: BoundRef;
  /** Seconds since the epoch from which use of the token is a sign of a client that does not reload it. */
  readonly warnafter?: number;
}

export interface VerifiedToken {
  readonly claims: KubernetesClaims;
  readonly id: string;
  readonly audiences: readonly string[];
}

export interface TokenSignerOptions {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly issuer?: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface SignOptions {
  readonly claims: KubernetesClaims;
  readonly audiences: readonly string[];
  readonly lifetimeSeconds: number;
}

/** Why a token is not accepted; the message may be shown, it holds nothing of the token. */
export class TokenError extends Error {}

export interface TokenSigner {
  readonly issuer: string;
  readonly algorithm: string;
  /** Names the key in a token's header and in the JWKS. */
  readonly keyId: string;
  readonly publicKey: KeyObject;
  sign(options: SignOptions): Promise<string>;
  /** Checks signature, issuer, times and that an audience is among these. Throws TokenError. */
  verify(token: string, audiences: readonly string[]): Promise<VerifiedToken>;
}

export function createTokenSigner(options: TokenSignerOptions): TokenSigner {
  const { privateKey, publicKey, issuer = DEFAULT_ISSUER, now } = options;
  const algorithm = publicKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256';
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = createHash('sha256').update(der).digest('base64url');
  return {
    issuer,
    algorithm,
    keyId,
    publicKey,
    async sign({ claims, audiences, lifetimeSeconds }) {
      const { SignJWT } = await import('jose');
      const issuedAt = Math.floor(now() / 1000);
      return await new SignJWT({ 'kubernetes.io': { ...claims } })
        .setProtectedHeader({ alg: algorithm, kid: keyId })
        .setIssuer(issuer)
        .setSubject(`system:serviceaccount:${claims.namespace}:${claims.serviceaccount.name}`)
        .setAudience([...audiences])
        .setIssuedAt(issuedAt)
        .setNotBefore(issuedAt)
        .setExpirationTime(issuedAt + lifetimeSeconds)
        .setJti(randomUUID())
        .sign(privateKey);
    },
    async verify(token, audiences) {
      const { jwtVerify } = await import('jose');
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          issuer,
          algorithms: [algorithm],
          audience: [...audiences],
          currentDate: new Date(now()),
          requiredClaims: ['exp', 'sub'],
        });
        return {
          claims: decodeClaims(payload['kubernetes.io']),
          id: payload.jti ?? '',
          audiences: [payload.aud ?? []].flat(),
        };
      } catch (cause) {
        if (cause instanceof TokenError) throw cause;
        throw new TokenError(cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
  };
}

function decodeClaims(value: unknown): KubernetesClaims {
  if (!isRecord(value) || typeof value['namespace'] !== 'string') {
    throw new TokenError('the token names no service account');
  }
  const account = decodeRef(value['serviceaccount']);
  if (!account) throw new TokenError('the token names no service account');
  const pod = decodeRef(value['pod']);
  const secret = decodeRef(value['secret']);
  const node = decodeRef(value['node']);
  return {
    namespace: value['namespace'],
    serviceaccount: account,
    ...(pod ? { pod } : {}),
    ...(secret ? { secret } : {}),
    ...(node ? { node } : {}),
  };
}

function decodeRef(value: unknown): BoundRef | undefined {
  if (!isRecord(value)) return undefined;
  const { name, uid } = value;
  return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
