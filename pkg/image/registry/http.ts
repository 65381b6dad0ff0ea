/** One HTTP request to a registry: TLS per host, proxies from the environment, redirects, deadlines for silence. */

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type Clock, systemClock } from '../../wait/clock.ts';
import { ImageError } from '../image-store.ts';
import {
  MAX_REDIRECTS,
  MAX_TOLD_LENGTH,
  RESPONSE_TIMEOUT_MS,
  STALL_MIN_BYTES,
  STALL_TIMEOUT_MS,
} from '../limits.ts';
import type { TlsFiles } from './registries.ts';

export interface RegistryRequest {
  readonly url: string;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: TlsFiles | undefined;
}

export interface RegistryResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Must be read to its end or destroyed. Ends with an error when too little of it comes within STALL_TIMEOUT_MS. */
  readonly body: IncomingMessage;
}

/** Failed without an answer, in a way that may pass: worth another attempt. */
export class TransferError extends Error {}

/** Keeps connections open between requests; close() ends them. */
export class HttpClient {
  readonly #agents = new Map<TlsFiles | 'plain' | 'tls', HttpAgent | HttpsAgent>();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Follows redirects; credentials go to the first host only, and never from https to http. */
  async send(wanted: RegistryRequest, signal?: AbortSignal): Promise<RegistryResponse> {
    let current = wanted;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const response = await this.#once(current, signal);
      const { location } = response.headers;
      if (!(response.status >= 301 && response.status <= 308 && location !== undefined)) {
        return response;
      }
      response.body.destroy();
      current = redirected(current, targetOf(location, current));
    }
    throw new ImageError('Unreachable', `${hostOf(wanted.url)} redirects in a circle`);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  #once(wanted: RegistryRequest, signal?: AbortSignal): Promise<RegistryResponse> {
    const url = new URL(wanted.url);
    const isTls = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const send = isTls ? httpsRequest : httpRequest;
      const request = send(url, {
        method: wanted.method ?? 'GET',
        agent: this.#agent(isTls, wanted.tls),
        headers: { 'user-agent': 'mini', ...wanted.headers },
        ...(signal === undefined ? {} : { signal }),
      });
      const cancel = this.#clock.after(RESPONSE_TIMEOUT_MS, () =>
        request.destroy(new Error(`no answer within ${RESPONSE_TIMEOUT_MS / 1000} s`)),
      );
      request.once('close', cancel);
      request.once('error', (error) => {
        cancel();
        reject(signal?.aborted ? signal.reason : explain(error, url));
      });
      request.once('response', (body) => {
        cancel();
        this.#watch(body);
        resolve({ status: body.statusCode ?? 0, headers: body.headers, body });
      });
      request.end(wanted.body);
    });
  }

  /** Destroys a body that stays silent, or nearly so, for too long. */
  #watch(body: IncomingMessage): void {
    let bytes = 0;
    let cancel: () => void;
    const arm = () => {
      cancel = this.#clock.after(STALL_TIMEOUT_MS, () => {
        if (bytes < STALL_MIN_BYTES) {
          const text = `only ${bytes} bytes within ${STALL_TIMEOUT_MS / 1000} s`;
          body.destroy(new TransferError(text));
          return;
        }
        bytes = 0;
        arm();
      });
    };
    arm();
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
    };
    // Kept here: a body that has ended knows its socket no more, which goes on to serve others.
    const { socket } = body;
    socket.on('data', onData);
    body.once('close', () => {
      cancel();
      socket.off('data', onData);
    });
  }

  #agent(isTls: boolean, tls: TlsFiles | undefined): HttpAgent | HttpsAgent {
    const key = tls !== undefined && isTls ? tls : isTls ? 'tls' : 'plain';
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const common = { keepAlive: true, proxyEnv: process.env };
    const agent = isTls
      ? new HttpsAgent({
          ...common,
          ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
          ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
          ...(tls?.key === undefined ? {} : { key: tls.key }),
          rejectUnauthorized: tls?.isInsecure !== true,
        })
      : new HttpAgent(common);
    this.#agents.set(key, agent);
    return agent;
  }
}

/** Reads a small body of `host` whole. Throws ImageError Corrupt when it is longer than `maxBytes`. */
export async function readBody(
  body: IncomingMessage,
  maxBytes: number,
  host: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new ImageError('Corrupt', `${host} answered with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function hostOf(url: string): string {
  return new URL(url).host;
}

/** Where a redirect leads. Throws an ImageError when that is no web address. */
function targetOf(location: string, from: RegistryRequest): URL {
  const url = URL.canParse(location, from.url) ? new URL(location, from.url) : undefined;
  if (url !== undefined && isWeb(url)) return url;
  const told = JSON.stringify(location.slice(0, MAX_TOLD_LENGTH));
  throw new ImageError(
    'Unreachable',
    `${hostOf(from.url)} redirects to ${told}, which is no web address`,
  );
}

export function isWeb({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'http:';
}

function redirected(from: RegistryRequest, to: URL): RegistryRequest {
  const source = new URL(from.url);
  if (source.protocol === 'https:' && to.protocol !== 'https:') {
    throw new ImageError('Unreachable', `${source.host} redirects from https to ${to.protocol}//`);
  }
  const isSameHost = source.host === to.host;
  const headers = Object.entries(from.headers ?? {});
  const kept = headers.filter(([name]) => isSameHost || name.toLowerCase() !== 'authorization');
  return {
    ...from,
    url: to.href,
    headers: Object.fromEntries(kept),
    tls: isSameHost ? from.tls : undefined,
  };
}

const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; check the address, or that the registry runs',
  ENOTFOUND: 'the name is unknown; check the spelling and the DNS of this host',
  EAI_AGAIN: 'the name cannot be looked up; check the DNS and the network of this host',
  ENETUNREACH: 'there is no route to it; check the network of this host',
  EHOSTUNREACH: 'there is no route to it; check the network of this host',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
};

/** Not worth another attempt at once: the caller tries a mirror, or later. */
const FINAL = new Set(['ECONNREFUSED', 'ENOTFOUND', 'ENETUNREACH', 'EHOSTUNREACH']);

const TLS_CODE = /CERT|SIGNATURE|ISSUER|SELF_SIGNED|ERR_TLS/;

/** What went wrong, with the host and what to do. */
function explain(error: Error, url: URL): Error {
  const code = 'code' in error ? String(error.code) : '';
  if (TLS_CODE.test(code)) {
    return new ImageError(
      'Unreachable',
      `the certificate of ${url.host} is not trusted (${error.message}); name its CA as tls.ca_file in registries.yaml`,
      error,
    );
  }
  if (code === 'EPROTO') {
    return new ImageError(
      'Unreachable',
      `${url.host} does not speak TLS; for plain HTTP name it as "http://${url.host}" under mirrors in registries.yaml`,
      error,
    );
  }
  if (code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE') {
    return new ImageError(
      'Unreachable',
      `${url.host} does not answer as a registry does (${error.message}); check the address, and whether it speaks TLS`,
      error,
    );
  }
  const hint = HINTS[code] ?? error.message;
  if (FINAL.has(code)) {
    return new ImageError('Unreachable', `cannot reach ${url.host}: ${hint}`, error);
  }
  return new TransferError(`cannot reach ${url.host}: ${hint}`, { cause: error });
}
