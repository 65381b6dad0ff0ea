/** One probe of one container: exec, httpGet, tcpSocket or grpc. Never throws: a failure is a result. */

import { connect } from 'node:net';
import type { Probe } from '../../api/generated/types.ts';
import { dialFailure, hostPort } from './dial.ts';
import { execCheck } from './exec-check.ts';
import { httpCheck } from './http-check.ts';
import { CannotCheck, type CheckResult, type CheckTarget, portOf } from './target.ts';

const OK: CheckResult = { isOk: true, message: '' };

/** Runs the probe once; after `timeoutMs` it has failed. */
export async function check(
  target: CheckTarget,
  probe: Probe,
  timeoutMs: number,
): Promise<CheckResult> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = target.signal ? AbortSignal.any([timeout, target.signal]) : timeout;
  const { exec, httpGet, tcpSocket, grpc } = probe;
  try {
    if (exec) return await execCheck(target, exec.command ?? [], signal);
    if (httpGet) return await httpCheck(target, httpGet, signal);
    if (tcpSocket) {
      const port = portOf(target.container, tcpSocket.port);
      return await tcpCheck(tcpSocket.host || target.host, port, signal);
    }
    if (grpc) {
      const { grpcCheck } = await import('./grpc-check.ts');
      return await grpcCheck(target.host, { ...grpc, timeoutMs }, signal);
    }
    return OK;
  } catch (error) {
    if (timeout.aborted) return failed(timedOut(probe, timeoutMs));
    const result = failed(error instanceof Error ? error.message : String(error));
    return error instanceof CannotCheck ? { ...result, isUnknown: true } : result;
  }
}

function failed(message: string): CheckResult {
  return { isOk: false, message };
}

/** In the kubelet's words. */
function timedOut({ exec, tcpSocket }: Probe, timeoutMs: number): string {
  const seconds = timeoutMs / 1000;
  if (exec)
    return `command timed out: "${(exec.command ?? []).join(' ')}" timed out after ${seconds}s`;
  if (tcpSocket) return `dial tcp: i/o timeout after ${seconds}s`;
  return `context deadline exceeded after ${seconds}s`;
}

function tcpCheck(host: string, port: number, signal: AbortSignal): Promise<CheckResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal }, () => {
      socket.destroy();
      resolve(OK);
    });
    socket.on('error', (error) => reject(dialFailure(error, hostPort(host, port))));
  });
}
