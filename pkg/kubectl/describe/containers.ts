/** Containers of a pod or of a template, with what is known of how they run. */

import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvVar,
  Probe,
} from '../../api/generated/types.ts';
import { isObject } from '../../api/json.ts';
import { timeText } from './text.ts';

export interface ContainersOptions {
  readonly title: string;
  readonly containers: readonly Container[] | undefined;
  /** Absent for templates. */
  readonly statuses?: readonly ContainerStatus[] | undefined;
  readonly indent: string;
}

/** The section; nothing when there are no containers. */
export function containerLines({
  title,
  containers = [],
  statuses,
  indent,
}: ContainersOptions): string {
  if (containers.length === 0) return '';
  const each = containers.map((container) => {
    const status = statuses?.find(({ name }) => name === container.name);
    return `${indent} ${indent === '' ? ' ' : ''}${container.name}:\n${one(container, status, statuses !== undefined)}`;
  });
  return `${indent}${title}:\n${each.join('')}`;
}

function one(container: Container, status: ContainerStatus | undefined, isPod: boolean): string {
  const lines = [
    ...(status ? [`Container ID:\t${status.containerID ?? ''}`] : []),
    `Image:\t${container.image ?? ''}`,
    ...(status ? [`Image ID:\t${status.imageID}`] : []),
    ...portLines(container),
    ...wordLines('Command', container.command),
    ...wordLines('Args', container.args),
    ...(status ? stateLines('State', status.state) : []),
    ...(status?.lastState?.terminated ? stateLines('Last State', status.lastState) : []),
    ...(status
      ? [`Ready:\t${status.ready ? 'True' : 'False'}`, `Restart Count:\t${status.restartCount}`]
      : []),
    ...quantityLines('Limits', container.resources?.limits),
    ...quantityLines('Requests', container.resources?.requests),
    ...probeLine('Liveness', container.livenessProbe),
    ...probeLine('Readiness', container.readinessProbe),
    ...probeLine('Startup', container.startupProbe),
    ...sourceLines(container),
    ...environmentLines(container.env),
    ...mountLines(container),
  ];
  return lines.map((line) => `    ${line}\n`).join('') + (isPod ? '' : '');
}

function portLines({ ports = [] }: Container): readonly string[] {
  const many = ports.length > 1 ? 's' : '';
  const inner = ports.map(
    (port) =>
      `${port.containerPort}/${port.protocol ?? 'TCP'}${port.name ? ` (${port.name})` : ''}`,
  );
  const outer = ports.map(
    (port) =>
      `${port.hostPort ?? 0}/${port.protocol ?? 'TCP'}${port.name ? ` (${port.name})` : ''}`,
  );
  return [
    `Port${many}:\t${inner.join(', ') || '<none>'}`,
    `Host Port${many}:\t${outer.join(', ') || '<none>'}`,
  ];
}

function wordLines(title: string, words: readonly string[] = []): readonly string[] {
  if (words.length === 0) return [];
  return [`${title}:`, ...words.flatMap((word) => word.split('\n').map((line) => `  ${line}`))];
}

function stateLines(
  title: string,
  { running, waiting, terminated }: ContainerState = {},
): readonly string[] {
  if (running) return [`${title}:\tRunning`, `  Started:\t${timeText(running.startedAt)}`];
  if (terminated)
    return [
      `${title}:\tTerminated`,
      ...(terminated.reason ? [`  Reason:\t${terminated.reason}`] : []),
      ...(terminated.message ? [`  Message:\t${terminated.message}`] : []),
      `  Exit Code:\t${terminated.exitCode}`,
      ...(terminated.signal ? [`  Signal:\t${terminated.signal}`] : []),
      `  Started:\t${timeText(terminated.startedAt)}`,
      `  Finished:\t${timeText(terminated.finishedAt)}`,
    ];
  return [`${title}:\tWaiting`, ...(waiting?.reason ? [`  Reason:\t${waiting.reason}`] : [])];
}

function quantityLines(
  title: string,
  quantities: Readonly<Record<string, string>> | undefined,
): readonly string[] {
  const entries = Object.entries(quantities ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [];
  return [`${title}:`, ...entries.map(([name, value]) => `  ${name}:\t${value}`)];
}

function probeLine(title: string, probe: Probe | undefined): readonly string[] {
  if (!probe) return [];
  const { initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10 } = probe;
  const { successThreshold = 1, failureThreshold = 3 } = probe;
  const times = `delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s #success=${successThreshold} #failure=${failureThreshold}`;
  return [`${title}:\t${actionText(probe)} ${times}`];
}

function actionText({ exec, httpGet, tcpSocket, grpc }: Probe): string {
  if (exec) return `exec [${(exec.command ?? []).join(' ')}]`;
  if (httpGet) {
    const { scheme = 'HTTP', host = '', port, path = '' } = httpGet;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
  }
  if (tcpSocket) return `tcp-socket ${tcpSocket.host ?? ''}:${tcpSocket.port}`;
  return grpc ? `grpc <pod>:${grpc.port} ${grpc.service ?? ''}` : 'unknown';
}

function sourceLines({ envFrom = [] }: Container): readonly string[] {
  if (envFrom.length === 0) return [];
  const lines = envFrom.map(({ configMapRef, secretRef, prefix }) => {
    const kind = configMapRef ? 'ConfigMap' : 'Secret';
    const { name = '', optional = false } = configMapRef ?? secretRef ?? {};
    return `  ${name}\t${kind}${prefix ? ` with prefix '${prefix}'` : ''}\tOptional: ${optional}`;
  });
  return ['Environment Variables from:', ...lines];
}

function environmentLines(env: readonly EnvVar[] = []): readonly string[] {
  if (env.length === 0) return ['Environment:\t<none>'];
  return ['Environment:', ...env.map((one) => `  ${one.name}:\t${environmentText(one)}`)];
}

function environmentText({ value = '', valueFrom }: EnvVar): string {
  if (!valueFrom) return value.replaceAll('\n', '\n    \t');
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef) return ` (${fieldRef.apiVersion ?? 'v1'}:${fieldRef.fieldPath})`;
  if (resourceFieldRef) return `0 (${resourceFieldRef.resource})`;
  if (secretKeyRef)
    return `<set to the key '${secretKeyRef.key}' in secret '${secretKeyRef.name ?? ''}'>\tOptional: ${secretKeyRef.optional ?? false}`;
  if (configMapKeyRef)
    return `<set to the key '${configMapKeyRef.key}' of config map '${configMapKeyRef.name ?? ''}'>\tOptional: ${configMapKeyRef.optional ?? false}`;
  return isObject(valueFrom) ? '<set from another source>' : '';
}

function mountLines({ volumeMounts = [] }: Container): readonly string[] {
  if (volumeMounts.length === 0) return ['Mounts:\t<none>'];
  const lines = [...volumeMounts]
    .sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1))
    .map(({ mountPath, name, readOnly, subPath }) => {
      const flags = [
        readOnly ? 'ro' : 'rw',
        ...(subPath ? [`path=${JSON.stringify(subPath)}`] : []),
      ];
      return `  ${mountPath} from ${name} (${flags.join(',')})`;
    });
  return ['Mounts:', ...lines];
}
