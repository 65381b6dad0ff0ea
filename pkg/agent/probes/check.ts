/** One probe of one container: exec, httpGet, tcpSocket or grpc. Never throws: a failure is a result. */

import { request as httpRequest } from 'node:http';
import { connect as h2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, HTTPGetAction, Probe } from '../../api/generated/types.ts';
import type { Engine } from '../../engine/engine.ts';
import { orAborted } from '../or-aborted.ts';

export interface CheckTarget {
  readonly engine: Engine;
  readonly containerId: string;
  readonly container: Container;
  /** Address of the pod. */
  readonly host: string;
  /** Gives the check up: it has failed. */
  readonly signal?: AbortSignal;
}

export interface CheckResult {
  readonly isOk: boolean;
  readonly message: string;
}

const OK: CheckResult = { isOk: true, message: '' };
/** How much of a failed probe's output goes into the event. */
const MAX_OUTPUT_BYTES = 1024;

/** Runs the probe once; after `timeoutMs` it has failed. */
export async function check(
  target: CheckTarget,
  probe: Probe,
  timeoutMs: number,
): Promise<CheckResult> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = target.signal ? AbortSignal.any([timeout, target.signal]) : timeout;
  try {
    if (probe.exec) return await execCheck(target, probe.exec.command ?? [], signal);
    if (probe.httpGet) return await httpCheck(target, probe.httpGet, signal);
    if (probe.tcpSocket) {
      const { host, port } = probe.tcpSocket;
      return await tcpCheck(host || target.host, portOf(target.container, port), signal);
    }
    if (probe.grpc) return await grpcCheck(target.host, { ...probe.grpc }, signal);
    return OK;
  } catch (error) {
    if (timeout.aborted) return failed(`timed out after ${timeoutMs / 1000}s`);
    return failed(error instanceof Error ? error.message : String(error));
  }
}

function failed(message: string): CheckResult {
  return { isOk: false, message };
}

async function execCheck(
  target: CheckTarget,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CheckResult> {
  const session = await target.engine.exec(
    target.containerId,
    { args, hasTerminal: false, hasStdin: false },
    signal,
  );
  const chunks: Buffer[] = [];
  let size = 0;
  const collect = (chunk: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) chunks.push(chunk);
    size += chunk.length;
  };
  const outputs: readonly NodeJS.ReadableStream[] = [
    session.stdout,
    ...(session.stderr ? [session.stderr] : []),
  ];
  const read = Promise.all(
    outputs.map((output) => {
      const ended = new Promise<void>((resolve) => output.once('end', resolve));
      output.on('data', collect).on('error', () => undefined);
      return ended;
    }),
  );
  try {
    const exit = await orAborted(session.exited, signal);
    if (exit.exitCode === 0) return OK;
    // It has failed in any case; a child of it that holds its output open only costs the rest of the message.
    await orAborted(read, signal).catch(() => undefined);
    return failed(Buffer.concat(chunks).toString('utf8', 0, MAX_OUTPUT_BYTES));
  } finally {
    session.close();
  }
}

/** A port by number, or by the name the container gave it. */
function portOf(container: Container, port: string | number): number {
  const number = Number(port);
  if (Number.isInteger(number)) return number;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  if (named === undefined)
    throw new Error(`couldn't find port: ${JSON.stringify(port)} in container`);
  return named;
}

const MAX_REDIRECTS = 10;

async function httpCheck(
  target: CheckTarget,
  get: HTTPGetAction,
  signal: AbortSignal,
): Promise<CheckResult> {
  const scheme = (get.scheme ?? 'HTTP').toLowerCase();
  const host = get.host || target.host;
  const port = portOf(target.container, get.port);
  let url = new URL(
    get.path || '/',
    `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  );
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const { status, location } = await fetchOnce(url, get, signal);
    const next = status >= 300 && status < 400 && location ? new URL(location, url) : undefined;
    if (next && next.hostname === url.hostname) {
      url = next;
      continue;
    }
    if (status >= 200 && status < 400) return OK;
    return failed(`HTTP probe failed with statuscode: ${status}`);
  }
  return failed(`stopped after ${MAX_REDIRECTS} redirects`);
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
}

function fetchOnce(url: URL, get: HTTPGetAction, signal: AbortSignal): Promise<Answer> {
  const own = (get.httpHeaders ?? []).map(({ name, value }) => [name, value] as const);
  const headers = {
    'User-Agent': 'kube-probe/1.36',
    Accept: '*/*',
    Connection: 'close',
    ...Object.fromEntries(own),
  };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      { headers, signal, agent: false, rejectUnauthorized: false },
      (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, location: response.headers.location }),
        );
      },
    );
    request.on('error', reject);
    request.end();
  });
}

function tcpCheck(host: string, port: number, signal: AbortSignal): Promise<CheckResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal }, () => {
      socket.destroy();
      resolve(OK);
    });
    socket.on('error', reject);
  });
}

/** The gRPC health checking protocol: one unary call; SERVING is status 1. */
function grpcCheck(
  host: string,
  { port, service = '' }: { readonly port: number; readonly service?: string },
  signal: AbortSignal,
): Promise<CheckResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CheckResult>();
  const session = h2Connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
  const finish = (work: () => void) => {
    session.destroy();
    work();
  };
  session.on('error', (error) => finish(() => reject(error)));
  signal.addEventListener('abort', () => finish(() => reject(signal.reason)), { once: true });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  let status = '0';
  stream.on('response', (headers) => {
    status = String(headers['grpc-status'] ?? status);
  });
  stream.on('trailers', (headers) => {
    status = String(headers['grpc-status'] ?? status);
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', (error) => finish(() => reject(error)));
  stream.on('end', () => finish(() => resolve(grpcResult(status, Buffer.concat(chunks)))));
  stream.end(healthRequest(service));
  return promise;
}

/** 5 bytes of gRPC framing, then HealthCheckRequest{1: service}. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function grpcResult(status: string, body: Buffer): CheckResult {
  if (status !== '0') return failed(`error: gRPC status ${status}`);
  const isServing = body.length >= 7 && body[5] === 0x08 && body[6] === 1;
  return isServing ? OK : failed('service unhealthy (responded with a status other than SERVING)');
}
