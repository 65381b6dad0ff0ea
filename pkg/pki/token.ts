/**
 * Join tokens, `K10<sha256 of the CA>::<user>:<secret>` or `K10<sha256>::<id>.<secret>`. The hash lets a node check
 * the server before it shows the secret. A token without `K10…::` carries no hash and trusts the first answer.
 * Source: k3s' token format.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'K10';
const HASH = /^[0-9a-f]{64}$/;
/** The beginning of a token, as a copy that was cut short leaves it. */
const CUT = /^K10[0-9a-f]*:?$/;
const BOOTSTRAP = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SECRET_BYTES = 16;

/** The secret half: a user with a password, or a bootstrap token. */
export type TokenSecret =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'bootstrap'; readonly id: string; readonly secret: string };

export interface JoinToken {
  /** SHA-256 of the CA's PEM in hex; absent when the token carries none. */
  readonly caHash?: string;
  readonly secret: TokenSecret;
}

/** SHA-256 of the CA certificate's PEM bytes, as the token carries it. */
export function caHash(pem: string): string {
  return createHash('sha256').update(pem).digest('hex');
}

/** Reads a token. Throws an Error that says which part is wrong, without showing the secret. */
export function parseToken(text: string): JoinToken {
  const token = text.trim();
  if (token === '') throw new Error('The token is empty; it looks like K10<hash>::server:<secret>');
  if (!token.startsWith(PREFIX) || !token.includes('::')) {
    if (CUT.test(token)) {
      throw new Error(
        'The token ends within or after the CA hash; the part from "::" on is missing',
      );
    }
    return { secret: parseSecret(token) };
  }
  const at = token.indexOf('::');
  const hash = token.slice(PREFIX.length, at);
  if (!HASH.test(hash)) {
    throw new Error(
      `The CA hash of the token must be 64 hex digits, it has ${hash.length} characters; was the token cut?`,
    );
  }
  return { caHash: hash, secret: parseSecret(token.slice(at + 2)) };
}

/** The inverse of parseToken. */
export function formatToken({ caHash: hash, secret }: JoinToken): string {
  const tail = formatSecret(secret);
  return hash === undefined ? tail : `${PREFIX}${hash}::${tail}`;
}

/** `user:password` or `id.secret`. */
export function formatSecret(secret: TokenSecret): string {
  return secret.kind === 'password'
    ? `${secret.user}:${secret.password}`
    : `${secret.id}.${secret.secret}`;
}

/** Reads `user:password`, `id.secret`, or a bare password (which is the user `server`'s, as k3s has it). */
export function parseSecret(text: string): TokenSecret {
  const bootstrap = BOOTSTRAP.exec(text);
  if (bootstrap) return { kind: 'bootstrap', id: bootstrap[1] ?? '', secret: bootstrap[2] ?? '' };
  const colon = text.indexOf(':');
  const user = colon < 0 ? 'server' : text.slice(0, colon);
  const password = text.slice(colon + 1);
  if (user === '' || password === '') {
    throw new Error(
      'The token has no user or no secret; it looks like K10<hash>::server:<secret> or K10<hash>::<id>.<secret>',
    );
  }
  if (/\s/.test(text)) throw new Error('The token contains white space');
  return { kind: 'password', user, password };
}

/** A new random password in hex. */
export function newPassword(): string {
  return randomBytes(SECRET_BYTES).toString('hex');
}

/** A new bootstrap token: 6 and 16 characters of [a-z0-9]. */
export function newBootstrapToken(): { readonly id: string; readonly secret: string } {
  return { id: randomText(6), secret: randomText(16) };
}

/** Compares secrets in a time that does not depend on where they differ. */
export function secretsEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // 252 is the largest multiple of 36: bytes above it would favour the first letters.
      if (byte < 252 && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}
