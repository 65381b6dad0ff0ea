/** Writes an answer to an HTTP exchange: objects as JSON, YAML or protobuf, streams and watches as they come. */

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { stringify as stringifyYaml } from 'yaml';
import { encodeProtobuf } from '../api/protobuf.ts';
import type { ServerResponse } from './contract.ts';
import type { Encodings } from './encodings.ts';
import type { Exchange } from './exchange.ts';
import { type Form, formOf, PROTOBUF } from './negotiate.ts';

const gzipped = promisify(gzip);
/** Answers from this size on are compressed for clients that take it. Source: kube-apiserver. */
const GZIP_MIN_BYTES = 128 * 1024;
/** Speed matters more than size on a local network. */
const GZIP_LEVEL = 1;

/** Sends the answer. Rejects when the client goes away. */
export async function send(
  exchange: Exchange,
  { response, encodings }: { readonly response: ServerResponse; readonly encodings: Encodings },
): Promise<void> {
  switch (response.kind) {
    case 'object':
      return await sendObject(exchange, response, encodings);
    case 'bytes':
      return await sendBytes(exchange, response);
    case 'stream':
      exchange.head(response.status, { ...response.headers, 'content-type': response.contentType });
      for await (const chunk of response.body) await write(exchange, chunk);
      return end(exchange.out);
    default:
      return await sendWatch(exchange, response);
  }
}

type Kind<K extends ServerResponse['kind']> = Extract<ServerResponse, { readonly kind: K }>;

async function sendObject(exchange: Exchange, response: Kind<'object'>, encodings: Encodings) {
  const { status, body, headers = {} } = response;
  const encoded = encodedFor(exchange, body, encodings);
  await sendBytes(exchange, { kind: 'bytes', status, headers, ...encoded });
}

function encodedFor(exchange: Exchange, body: object, encodings: Encodings) {
  switch (encodingOf(exchange)) {
    case 'yaml':
      return { contentType: 'application/yaml', body: Buffer.from(stringifyYaml(body)) };
    case 'protobuf':
      return { contentType: PROTOBUF, body: encodeProtobuf(body) };
    default:
      return { contentType: 'application/json', body: encodings.encode(body) };
  }
}

/** Errors, too, are sent in the asked encoding; one that is not served does not hide them. */
function encodingOf({ headers }: Exchange): Form['encoding'] {
  try {
    return formOf(headers['accept']).encoding;
  } catch {
    return 'json'; // NotAcceptable itself.
  }
}

async function sendBytes(exchange: Exchange, response: Kind<'bytes'>): Promise<void> {
  const { status, contentType, headers = {} } = response;
  const accepts = exchange.headers['accept-encoding'] ?? '';
  const isGzipped =
    response.body.length >= GZIP_MIN_BYTES &&
    /\bgzip\b/.test(accepts) &&
    headers['content-encoding'] === undefined;
  const body = isGzipped ? await gzipped(response.body, { level: GZIP_LEVEL }) : response.body;
  // Head and body go out in one write.
  exchange.out.cork();
  exchange.head(status, {
    'cache-control': 'no-cache, private',
    ...headers,
    'content-type': contentType,
    'content-length': String(body.length),
    ...(isGzipped ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {}),
  });
  if (exchange.method !== 'HEAD') exchange.out.write(body);
  end(exchange.out);
}

async function sendWatch(exchange: Exchange, response: Kind<'watch'>): Promise<void> {
  exchange.head(200, { 'cache-control': 'no-cache, private', 'content-type': 'application/json' });
  for await (const events of response.events) {
    const lines = events.map((event) => response.encode(event));
    const [only] = lines;
    await write(exchange, lines.length === 1 && only ? only : Buffer.concat(lines));
  }
  end(exchange.out);
}

/** Writes and waits until there is room again, so that a slow client holds back its own source only. */
async function write({ out, signal }: Exchange, bytes: Buffer): Promise<void> {
  signal.throwIfAborted();
  if (!out.write(bytes)) await once(out, 'drain', { signal });
}

function end(out: Writable): void {
  if (!out.destroyed) out.end();
}
