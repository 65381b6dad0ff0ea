/**
 * The gRPC health checking protocol: one unary call of grpc.health.v1.Health/Check over plain HTTP/2. Loaded by the
 * first probe that needs it.
 */

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import protobuf from 'protobufjs/minimal.js';
import { hostPort } from './dial.ts';
import type { CheckResult } from './target.ts';

/** 1 byte (compressed or not) and 4 of length are before each message. */
const FRAME_HEADER_BYTES = 5;
/** A health answer has a few bytes; who sends more than this does not speak the protocol. */
const MAX_ANSWER_BYTES = 4096;
const SERVING = 1;
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const GRPC_UNIMPLEMENTED = '12';

interface Call {
  readonly port: number;
  readonly service?: string;
  readonly timeoutMs: number;
}

/** Rejects when the server does not speak the protocol. */
export async function grpcCheck(
  host: string,
  { port, service = '', timeoutMs }: Call,
  signal: AbortSignal,
): Promise<CheckResult> {
  const address = hostPort(host, port);
  const timeout = `${timeoutMs / 1000}s`;
  const session = connect(`http://${address}`);
  let hasConnected = false;
  session.once('connect', () => {
    hasConnected = true;
  });
  try {
    return await call(session, service, signal);
  } catch (error) {
    // The kubelet goes on trying to connect until the time is over.
    if (!hasConnected) {
      const why = `within ${timeout}: context deadline exceeded`;
      return { isOk: false, message: `timeout: failed to connect service "${address}" ${why}` };
    }
    if (!signal.aborted) throw error;
    return { isOk: false, message: `timeout: health rpc did not complete within ${timeout}` };
  } finally {
    session.destroy();
  }
}

function call(
  session: ClientHttp2Session,
  service: string,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CheckResult>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  session.on('error', reject);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    'user-agent': 'kube-probe/1.36',
    te: 'trailers',
  });
  stream.on('error', reject);
  readAnswer(stream, (answer) => resolve(resultOf(answer)));
  stream.end(frameOf(service));
  return promise;
}

interface Answer {
  readonly httpStatus: number;
  readonly grpcStatus: string;
  readonly grpcMessage: string;
  readonly body: Buffer;
}

function readAnswer(stream: ClientHttp2Stream, onEnd: (answer: Answer) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let httpStatus = 0;
  let status = '';
  let message = '';
  const collect = (headers: NodeJS.Dict<unknown>) => {
    status = String(headers['grpc-status'] ?? status);
    message = String(headers['grpc-message'] ?? message);
  };
  stream.on('response', (headers) => {
    httpStatus = Number(headers[':status']);
    collect(headers);
  });
  stream.on('trailers', collect);
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) stream.destroy(new Error('error: health rpc answer is too long'));
    else chunks.push(chunk);
  });
  stream.on('end', () => {
    const body = Buffer.concat(chunks);
    onEnd({ httpStatus, grpcStatus: status, grpcMessage: decode(message), body });
  });
}

/** grpc-message is percent-encoded. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** HealthCheckRequest{service = 1}, framed. */
function frameOf(service: string): Buffer {
  const writer = protobuf.Writer.create();
  if (service !== '') writer.uint32((1 << 3) | 2).string(service);
  const message = writer.finish();
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function resultOf({ httpStatus, grpcStatus, grpcMessage, body }: Answer): CheckResult {
  const failed = (message: string) => ({ isOk: false, message });
  if (grpcStatus === GRPC_UNIMPLEMENTED) {
    const protocol = 'the grpc health protocol (grpc.health.v1.Health)';
    return failed(`error: this server does not implement ${protocol}: ${grpcMessage}`);
  }
  if (grpcStatus !== '0') {
    const why = grpcStatus === '' ? `HTTP status ${httpStatus}` : `code = ${grpcStatus}`;
    return failed(`error: health rpc failed: rpc error: ${why} desc = ${grpcMessage}`);
  }
  const status = statusOf(body);
  if (status === SERVING) return { isOk: true, message: '' };
  return failed(`service unhealthy (responded with "${STATUSES[status] ?? status}")`);
}

/** HealthCheckResponse{status = 1}; 0 is what an empty message says. */
function statusOf(body: Buffer): number {
  if (body.length < FRAME_HEADER_BYTES) throw new Error('error: health rpc answer has no message');
  const reader = protobuf.Reader.create(body.subarray(FRAME_HEADER_BYTES));
  let status = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) status = reader.int32();
    else reader.skipType(tag & 7);
  }
  return status;
}
