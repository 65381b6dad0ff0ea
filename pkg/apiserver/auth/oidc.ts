/** The issuer's discovery document and keys, by which others verify service-account tokens. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { isReason } from '../../api/errors.ts';
import type { Authenticator, Authorizer, ExtraHandler } from '../contract.ts';
import { peerUser } from '../peer-user.ts';
import type { TokenSigner } from './token-signer.ts';

const DISCOVERY_PATH = '/.well-known/openid-configuration';
const JWKS_PATH = '/openid/v1/jwks';

export interface OidcOptions {
  readonly signer: TokenSigner;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
}

/** The two endpoints, for who may get their paths (all service accounts by default). */
export function createOidcHandlers(options: OidcOptions): readonly ExtraHandler[] {
  const { issuer, algorithm, keyId, publicKey } = options.signer;
  const key = { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: algorithm, kid: keyId };
  const discovery = {
    issuer,
    jwks_uri: `${issuer}${JWKS_PATH}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [algorithm],
  };
  return [
    handler(options, { path: DISCOVERY_PATH, type: 'application/json', body: discovery }),
    handler(options, { path: JWKS_PATH, type: 'application/jwk-set+json', body: { keys: [key] } }),
  ];
}

interface Document {
  readonly path: string;
  readonly type: string;
  readonly body: object;
}

function handler(options: OidcOptions, document: Document): ExtraHandler {
  return {
    prefix: document.path,
    handle(request, response) {
      // Only a fault of the server itself comes here; the peer sees a closed connection.
      serve(options, { document, request, response }).catch((error) => response.destroy(error));
    },
  };
}

interface Exchange {
  readonly document: Document;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function serve(
  options: OidcOptions,
  { document, request, response }: Exchange,
): Promise<void> {
  const status = request.method === 'GET' ? await mayRead(options, { document, request }) : 405;
  const { type, body } = status === 200 ? document : REFUSED;
  response.writeHead(status, { 'content-type': type, 'cache-control': 'public, max-age=3600' });
  response.end(JSON.stringify(body));
}

const REFUSED = { type: 'application/json', body: { message: 'refused' } };

async function mayRead(
  { authenticator, authorizer }: OidcOptions,
  { document, request }: Pick<Exchange, 'document' | 'request'>,
): Promise<200 | 401 | 403> {
  const peer = peerUser(request);
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
  );
  try {
    const user = await authenticator.authenticate({
      headers: request.headers.authorization ? headers : {},
      ...(peer ? { certificate: { commonName: peer.name, organizations: peer.groups } } : {}),
    });
    const decision = authorizer.authorize({
      ...{ user, verb: 'get', isResource: false, path: document.path },
      ...{ group: '', version: '', resource: '', subresource: '', namespace: '', name: '' },
    });
    return decision.isAllowed ? 200 : 403;
  } catch (error) {
    if (isReason(error, 'Unauthorized')) return 401;
    throw error;
  }
}
