/** HTTP and HTTPS requests of probes and lifecycle hooks, as the kubelet makes them. */

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { HTTPGetAction } from '../../api/generated/types.ts';
import { dialFailure, hostPort } from './dial.ts';
import { type CheckResult, type CheckTarget, portOf } from './target.ts';

const MAX_REDIRECTS = 10;
/** How much of an answer is read; what follows does not matter. */
const MAX_BODY_BYTES = 10 * 1024;

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** Passes with a status from 200 to 399. Redirects are followed on the same host; one that leaves it passes. */
export async function httpCheck(
  target: CheckTarget,
  get: HTTPGetAction,
  signal: AbortSignal,
): Promise<CheckResult> {
  let url = urlOf(target, get);
  const headers = headersOf(get, 'kube-probe/1.36');
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const { status, location, body } = await fetchOnce(url, headers, signal);
    const isRedirect = status >= 300 && status < 400;
    const next = isRedirect && location ? new URL(location, url) : undefined;
    if (next && next.hostname === url.hostname) {
      url = next;
      continue;
    }
    if (next) {
      const warning = `Probe terminated redirects, Response body: ${body}`;
      return { isOk: true, message: '', warning };
    }
    if (status >= 200 && status < 400) return { isOk: true, message: '' };
    return { isOk: false, message: `HTTP probe failed with statuscode: ${status}` };
  }
  return { isOk: false, message: `Get "${url}": stopped after ${MAX_REDIRECTS} redirects` };
}

/** A lifecycle hook: any answer passes. A server that speaks HTTP where HTTPS was meant is asked again so. */
export async function httpHook(
  target: CheckTarget,
  get: HTTPGetAction,
  signal: AbortSignal,
): Promise<void> {
  const url = urlOf(target, get);
  const headers = headersOf(get, 'kube-lifecycle/1.36');
  try {
    await fetchOnce(url, headers, signal);
  } catch (error) {
    const { cause } = error as Error;
    if (url.protocol !== 'https:' || !isPlainHttp(cause)) throw error;
    url.protocol = 'http:';
    const { authorization: _secret, ...others } = headers;
    await fetchOnce(url, others, signal);
  }
}

function isPlainHttp(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  return code === 'EPROTO' || code.startsWith('ERR_SSL_');
}

function urlOf(target: CheckTarget, get: HTTPGetAction): URL {
  const scheme = (get.scheme ?? 'HTTP').toLowerCase();
  const host = get.host || target.host;
  const port = portOf(target.container, get.port);
  const path = get.path || '/';
  return new URL(path.startsWith('/') ? path : `/${path}`, `${scheme}://${hostPort(host, port)}`);
}

type Headers = Readonly<Record<string, string | string[]>>;

/** By lower-case name, all values of each; the hook's or probe's own win, and an empty Accept is not sent. */
function headersOf({ httpHeaders = [] }: HTTPGetAction, userAgent: string): Headers {
  const own = new Map<string, string[]>();
  for (const { name, value } of httpHeaders) {
    const key = name.toLowerCase();
    own.set(key, [...(own.get(key) ?? []), value]);
  }
  const all = new Map<string, string | string[]>([
    ['user-agent', userAgent],
    ['accept', '*/*'],
    ['connection', 'close'],
  ]);
  for (const [name, values] of own) all.set(name, values.length === 1 ? (values[0] ?? '') : values);
  if (all.get('accept') === '') all.delete('accept');
  return Object.fromEntries(all);
}

function fetchOnce(url: URL, headers: Headers, signal: AbortSignal): Promise<Answer> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { headers, signal, agent: false, rejectUnauthorized: false };
  const request = send(url, options, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = () => {
      const body = Buffer.concat(chunks).toString('utf8', 0, MAX_BODY_BYTES);
      resolve({ status: response.statusCode ?? 0, location: response.headers.location, body });
      request.destroy();
    };
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= MAX_BODY_BYTES) finish();
    });
    response.on('error', reject);
    response.on('end', finish);
  });
  request.on('error', (error) => {
    const why = signal.aborted
      ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
      : dialFailure(error, hostPort(url.hostname, port)).message;
    reject(new Error(`Get "${url}": ${why}`, { cause: error }));
  });
  request.end();
  return promise;
}
