/** Answers a registry's WWW-Authenticate: basic, or a bearer token from the server it names. */

import { type Credentials, ImageError } from '../image-store.ts';
import { MAX_TOKEN_BYTES } from '../limits.ts';
import { type HttpClient, isWeb, readBody } from './http.ts';
import type { Endpoint } from './registries.ts';

export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Parses a WWW-Authenticate header; several schemes may stand in one. */
export function parseChallenges(header: string): readonly Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  const token =
    /([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))|([A-Za-z][A-Za-z0-9_-]*)/g;
  for (const [, name, quoted, plain, scheme] of header.matchAll(token)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const last = found.at(-1);
    if (name !== undefined && last !== undefined) {
      last.parameters[name.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '';
    }
  }
  return found;
}

export interface AuthRequest {
  readonly header: string;
  readonly endpoint: Endpoint;
  readonly credentials: Credentials | undefined;
}

/** The Authorization header that answers a challenge; undefined when nothing can be answered. */
export async function authorize(
  http: HttpClient,
  { header, endpoint, credentials }: AuthRequest,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (credentials?.registryToken !== undefined) return `Bearer ${credentials.registryToken}`;
  const challenges = parseChallenges(header);
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer !== undefined) return fetchToken(http, { bearer, endpoint, credentials }, signal);
  const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
  return isBasic ? basic(credentials) : undefined;
}

function basic(credentials: Credentials | undefined): string | undefined {
  if (credentials?.username === undefined || credentials.password === undefined) return undefined;
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

async function fetchToken(
  http: HttpClient,
  wanted: {
    readonly bearer: Challenge;
    readonly endpoint: Endpoint;
    readonly credentials: Credentials | undefined;
  },
  signal?: AbortSignal,
): Promise<string> {
  const { bearer, endpoint, credentials } = wanted;
  const { realm = '', service = '', scope } = bearer.parameters;
  const host = new URL(endpoint.origin).host;
  if (!URL.canParse(realm) || !isWeb(new URL(realm))) {
    throw new ImageError('Unauthorized', `${host} asks for a token but names no server for it`);
  }
  const url = new URL(realm);
  if (url.protocol !== 'https:' && endpoint.origin.startsWith('https:')) {
    throw new ImageError('Unauthorized', `${host} wants its token fetched in plain text; refused`);
  }
  const scopes = scope ?? `repository:${endpoint.repository}:pull`;
  const tls = url.origin === endpoint.origin ? endpoint.tls : undefined;
  const request =
    credentials?.identityToken === undefined
      ? tokenByGet(url, { service, scopes, authorization: basic(credentials) })
      : tokenByRefresh(url, { service, scopes, refresh: credentials.identityToken });
  const response = await http.send({ ...request, tls }, signal);
  const body = await readBody(response.body, MAX_TOKEN_BYTES, url.host);
  if (response.status !== 200) {
    const code =
      response.status === 401 || response.status === 403 ? 'Unauthorized' : 'Unreachable';
    throw new ImageError(
      code,
      `${url.host} gives no token for ${host}/${endpoint.repository} (status ${response.status}); check the user name and password`,
    );
  }
  return `Bearer ${decodeToken(body, url.host)}`;
}

function tokenByGet(
  realm: URL,
  wanted: {
    readonly service: string;
    readonly scopes: string;
    readonly authorization: string | undefined;
  },
) {
  const url = new URL(realm);
  if (wanted.service !== '') url.searchParams.set('service', wanted.service);
  for (const scope of wanted.scopes.split(' ')) url.searchParams.append('scope', scope);
  const headers: Record<string, string> =
    wanted.authorization === undefined ? {} : { authorization: wanted.authorization };
  return { url: url.href, headers };
}

function tokenByRefresh(
  realm: URL,
  wanted: { readonly service: string; readonly scopes: string; readonly refresh: string },
) {
  const body = new URLSearchParams({
    grant_type: 'refresh_token',
    service: wanted.service,
    client_id: 'mini',
    scope: wanted.scopes,
    refresh_token: wanted.refresh,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return { url: realm.href, method: 'POST' as const, headers, body: body.toString() };
}

function decodeToken(body: Buffer, host: string): string {
  let answer: { readonly token?: unknown; readonly access_token?: unknown } | null;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ImageError('Unauthorized', `the token answer of ${host} is not JSON`, error);
  }
  const token = answer?.token ?? answer?.access_token;
  if (typeof token === 'string' && token !== '') return token;
  throw new ImageError('Unauthorized', `the answer of ${host} holds no token`);
}
