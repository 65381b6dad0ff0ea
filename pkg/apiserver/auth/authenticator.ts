/**
 * Who is asking: a client certificate, a service-account token, a bootstrap token, or nobody. Credentials that are
 * there but wrong are refused, never treated as nobody's.
 */

import { unauthorized } from '../../api/errors.ts';
import type { Authenticator, Credentials, Registry, User } from '../contract.ts';
import { checkBootstrapToken } from './bootstrap-tokens.ts';
import type { AccountTokens } from './service-account-tokens.ts';
import { TokenError } from './token-signer.ts';
import { ANONYMOUS, authenticated } from './users.ts';

const BOOTSTRAP = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

export interface AuthenticatorOptions {
  readonly registry: Registry;
  readonly accountTokens: AccountTokens;
  /** Audiences of the API server itself. */
  readonly audiences: readonly string[];
  readonly now: () => number;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return {
    async authenticate({ headers, certificate }) {
      if (certificate?.commonName) {
        return authenticated({
          name: certificate.commonName,
          groups: certificate.organizations,
        });
      }
      const token = bearerToken(headers);
      return token === undefined ? ANONYMOUS : authenticated(await userOfToken(options, token));
    },
  };
}

/** The token of an Authorization header, or of the subprotocol that browsers use for WebSockets. */
function bearerToken(headers: Credentials['headers']): string | undefined {
  const header = headers['authorization'];
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(header ?? '') ?? [];
  if (bearer !== undefined) return bearer;
  if (header?.toLowerCase().startsWith('bearer')) throw unauthorized();
  const [, encoded] =
    /(?:^|,)\s*base64url\.bearer\.authorization\.k8s\.io\.([\w-]+)/.exec(
      headers['sec-websocket-protocol'] ?? '',
    ) ?? [];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64url').toString();
}

async function userOfToken(options: AuthenticatorOptions, token: string): Promise<User> {
  const { registry, accountTokens, audiences, now } = options;
  const [, id, secret] = BOOTSTRAP.exec(token) ?? [];
  if (id !== undefined && secret !== undefined) {
    const asked = { id, secret, use: 'authentication' as const, now: now() };
    const result = checkBootstrapToken(registry, asked);
    if (result.kind === 'valid') return result.user;
    throw unauthorized();
  }
  try {
    return (await accountTokens.verify(token, audiences)).user;
  } catch (error) {
    // Clients learn no more than that; why is for whoever asks with a TokenReview.
    if (error instanceof TokenError) throw unauthorized();
    throw error;
  }
}
