/** The two calls of a join. Nothing here sends a secret over a connection whose server was not verified. */

import { type KeyObject, X509Certificate } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { createCsr } from '../../pki/csr.ts';
import {
  CA_PATH,
  decodeJoinAnswer,
  decodeJoinRefusal,
  JOIN_PATH,
  JOIN_PROTOCOL_VERSION,
  type JoinAnswer,
  type JoinErrorCode,
  type JoinRequest,
  MAX_CLOCK_SKEW_MS,
  MAX_JOIN_BYTES,
} from '../../pki/join-protocol.ts';
import { caHash, formatSecret, type TokenSecret } from '../../pki/token.ts';
import { type ClientTls, dialSocket } from '../../tunnel/dial-socket.ts';
import type { Environment } from '../../tunnel/proxy.ts';

/** An answer must come within this. */
const ANSWER_DEADLINE_MS = 30_000;

/** Why a node cannot join; all but `Unreachable` need a person. */
export class JoinError extends Error {
  readonly code: JoinErrorCode | 'Unreachable' | 'WrongCa' | 'NotMini' | 'OtherCluster';
  constructor(code: JoinError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface ServerCall {
  readonly server: string;
  readonly signal: AbortSignal;
  readonly env?: Environment;
}

/** Fetches the CA from a server that is not trusted yet and compares it with the token's hash, if it has one. */
export async function fetchCa(
  call: ServerCall & { readonly now: number },
  hash?: string,
): Promise<string> {
  const answer = await send(call, { method: 'GET', path: CA_PATH, tls: { ca: undefined } });
  checkClock(call, answer.date);
  if (answer.status !== 200 || !isCa(answer.body)) {
    throw new JoinError(
      'NotMini',
      `${call.server} answers, but not as a mini server (status ${answer.status} for ${CA_PATH})`,
    );
  }
  if (hash !== undefined && caHash(answer.body) !== hash) {
    throw new JoinError(
      'WrongCa',
      `The CA of ${call.server} is not the one that the token was made for (hash ${caHash(answer.body)}, the token has ${hash}). The secret was not sent. Is it the right server, and the token whole?`,
    );
  }
  return answer.body;
}

export interface PostJoinOptions extends ServerCall {
  /** With `cert` and `key` the node renews, without `secret`. */
  readonly tls: ClientTls & { readonly ca: string };
  readonly secret?: TokenSecret;
  readonly key: KeyObject;
  readonly nodeName: string;
  readonly nodePassword: string;
  readonly now: number;
}

/** Asks for a certificate over a verified connection. Throws a JoinError with the server's words. */
export async function postJoin(options: PostJoinOptions): Promise<JoinAnswer> {
  const { nodeName, nodePassword, key, now, tls, secret, server } = options;
  const subject = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
  const body: JoinRequest = {
    protocol: JOIN_PROTOCOL_VERSION,
    nodeName,
    csr: await createCsr(subject, key),
    nodePassword,
    clock: now,
  };
  const answer = await send(options, {
    method: 'POST',
    path: JOIN_PATH,
    tls,
    body: JSON.stringify(body),
    ...(secret ? { authorization: authorization(secret) } : {}),
  });
  if (answer.status === 200) return readOr(server, () => decodeJoinAnswer(JSON.parse(answer.body)));
  if (answer.status >= 500 && answer.status !== 500) {
    throw new JoinError('Unreachable', `${server} cannot answer now (status ${answer.status})`);
  }
  const { error, message } = readOr(server, () => decodeJoinRefusal(JSON.parse(answer.body)));
  throw new JoinError(error, message);
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly tls: ClientTls;
  readonly body?: string;
  readonly authorization?: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** The server's clock, as its Date header has it. */
  readonly date: number;
}

async function send(call: ServerCall, exchange: Exchange): Promise<Answer> {
  const url = URL.parse(call.server);
  if (url?.protocol !== 'https:') {
    throw new JoinError(
      'BadRequest',
      `The server "${call.server}" must be an https URL, such as https://192.0.2.1:6443`,
    );
  }
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)]);
  try {
    const { env } = call;
    const socket = await dialSocket({ url, tls: exchange.tls, signal, ...(env ? { env } : {}) });
    try {
      return await converse({ createConnection: () => socket, host: url.host, signal }, exchange);
    } finally {
      socket.destroy();
    }
  } catch (cause) {
    call.signal.throwIfAborted();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new JoinError('Unreachable', message, { cause });
  }
}

interface Link {
  readonly createConnection: () => Awaited<ReturnType<typeof dialSocket>>;
  readonly host: string;
  readonly signal: AbortSignal;
}

function converse(
  link: Link,
  { method, path, body, authorization: header }: Exchange,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: link.host,
      connection: 'close',
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(header === undefined ? {} : { authorization: header }),
    };
    const { createConnection, signal } = link;
    const outgoing = request({ createConnection, method, path, headers, signal }, (response) => {
      read(response).then(resolve, reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function read(response: IncomingMessage): Promise<Answer> {
  let body = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    body += String(chunk);
    if (body.length > MAX_JOIN_BYTES) throw new Error(`the answer is over ${MAX_JOIN_BYTES} bytes`);
  }
  return { status: response.statusCode ?? 0, body, date: Date.parse(response.headers.date ?? '') };
}

/** Before TLS verifies anything, so that a wrong clock is named instead of a certificate "not valid yet". */
function checkClock({ now, server }: ServerCall & { readonly now: number }, date: number): void {
  if (!Number.isFinite(date) || Math.abs(date - now) <= MAX_CLOCK_SKEW_MS) return;
  throw new JoinError(
    'ClockSkew',
    `The clocks differ by more than ${MAX_CLOCK_SKEW_MS / 60_000} minutes: ${server} has ${new Date(date).toISOString()}, this host ${new Date(now).toISOString()}. Set the wrong one`,
  );
}

function isCa(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false; // Not a certificate at all: reported by the caller.
  }
}

function readOr<T>(server: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new JoinError('NotMini', `${server} answers, but not as a mini server`, { cause });
  }
}

function authorization(secret: TokenSecret): string {
  const text = formatSecret(secret);
  return secret.kind === 'bootstrap'
    ? `Bearer ${text}`
    : `Basic ${Buffer.from(text).toString('base64')}`;
}
