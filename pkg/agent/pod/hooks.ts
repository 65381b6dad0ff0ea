/** Lifecycle hooks of containers: postStart after the start, preStop before the stop signal. */

import type { Container, HTTPGetAction, LifecycleHandler, Pod } from '../../api/generated/types.ts';
import { describe } from '../../log/log.ts';
import { sleep } from '../../wait/clock.ts';
import type { NodeContext } from '../node-context.ts';
import { check } from '../probes/check.ts';
import { httpHook } from '../probes/http-check.ts';
import type { CheckTarget } from '../probes/target.ts';
import { podText, sandboxId } from './labels.ts';
import { fieldOf } from './records.ts';

export interface HookTarget {
  readonly pod: Pod;
  readonly container: Container;
  readonly id: string;
}

/** No limit of its own: a postStart hook may take as long as it likes, as in Kubernetes. */
const POST_START_MS = 2 ** 31 - 1;

/** Resolves to why the hook failed, in the kubelet's words; undefined when there is none or it passed. Rejects when it is given up. */
export async function postStart(
  context: NodeContext,
  target: HookTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  const handler = target.container.lifecycle?.postStart;
  if (!handler) return undefined;
  const why = await runHook(context, { ...target, handler, timeoutMs: POST_START_MS }, signal);
  signal.throwIfAborted();
  return why;
}

/** Takes at most the pod's grace period; a failure is told as an event and does not keep the container from ending. */
export async function preStop(
  context: NodeContext,
  target: HookTarget & { readonly graceMs: number },
  signal: AbortSignal,
): Promise<void> {
  const handler = target.container.lifecycle?.preStop;
  if (!handler) return;
  const why = await runHook(context, { ...target, handler, timeoutMs: target.graceMs }, signal);
  signal.throwIfAborted();
  if (why === undefined) return;
  const { pod, container } = target;
  // What the hook has answered may be a secret: it is for the log alone.
  context.log.info('A preStop hook failed', { container: container.name, why });
  const message = 'PreStopHook failed';
  context.events.record(pod, {
    type: 'Warning',
    reason: 'FailedPreStopHook',
    message,
    container: container.name,
    field: fieldOf(pod, container.name),
  });
}

interface Hook extends HookTarget {
  readonly handler: LifecycleHandler;
  readonly timeoutMs: number;
}

async function runHook(
  context: NodeContext,
  { pod, container, id, handler, timeoutMs }: Hook,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (handler.sleep) {
    await sleep(Math.min(handler.sleep.seconds * 1000, timeoutMs), signal, context.clock);
    return undefined;
  }
  const sandbox = context.engine.getSandbox(sandboxId(pod.metadata.uid));
  const host = (pod.spec.hostNetwork ? context.node.hostIps[0] : sandbox?.ip) ?? '127.0.0.1';
  const target = { engine: context.engine, containerId: id, container, host, signal };
  if (handler.httpGet) {
    const why = await runHttpHook(target, handler.httpGet, timeoutMs);
    const at = handler.httpGet.path ?? '/';
    return why && `HTTP lifecycle hook (${at}) ${failedFor(pod, container)}: ${why}`;
  }
  if (!handler.exec) return 'invalid handler: only exec, httpGet and sleep can be run';
  const result = await check(target, handler, timeoutMs);
  if (result.isOk) return undefined;
  const args = handler.exec.command ?? [];
  const { exitCode, message } = result;
  const why =
    exitCode === undefined
      ? message
      : `command '${args.join(' ')}' exited with ${exitCode}: ${message}`;
  const output = exitCode === undefined ? '' : message;
  return `Exec lifecycle hook ([${args.join(' ')}]) ${failedFor(pod, container)}: ${why}, message: ${JSON.stringify(output)}`;
}

function failedFor(pod: Pod, { name }: Container): string {
  return `for Container "${name}" in Pod "${podText(pod)}" failed - error`;
}

async function runHttpHook(
  target: CheckTarget,
  get: HTTPGetAction,
  timeoutMs: number,
): Promise<string | undefined> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = target.signal ? AbortSignal.any([timeout, target.signal]) : timeout;
  try {
    await httpHook(target, get, signal);
    return undefined;
  } catch (error) {
    return describe(error);
  }
}
