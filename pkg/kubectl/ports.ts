/** `[LOCAL:]REMOTE` of port-forward: numbers, names of a pod's ports, and a service's ports with where they lead. */

import type { Pod, Service, ServicePort } from '../api/generated/types.ts';
import type { Api, Live } from './api.ts';
import { resourceText } from './kinds.ts';
import { KubectlError } from './kubectl-error.ts';
import { namedObject } from './pods.ts';

export interface PortPair {
  /** Zero lets the system choose. */
  readonly local: number;
  readonly remote: number;
}

const PORT_MAX = 65_535;

/** The pairs that the arguments mean for a pod; `name` is what it was named by. */
export async function forwardedPorts(
  api: Api,
  {
    name,
    pod,
    ports,
  }: { readonly name: string; readonly pod: Pod; readonly ports: readonly string[] },
): Promise<readonly PortPair[]> {
  const { kind, object } = await namedObject(api, name);
  const service = resourceText(kind) === 'services' ? decodeService(object) : undefined;
  return ports.map((text) => pairOf(text, { pod, service }));
}

interface Ends {
  readonly pod: Pod;
  readonly service: Service | undefined;
}

function pairOf(text: string, { pod, service }: Ends): PortPair {
  const [first = '', second, ...more] = text.split(':');
  const remoteText = second ?? first;
  if (more.length > 0 || remoteText === '') throw new KubectlError(`invalid port format '${text}'`);
  const remote = service ? servicePort(service, pod, remoteText) : podPort(pod, remoteText);
  const local =
    second === undefined ? localOf(first, service, remote) : numberOf(first || '0', text);
  return { local, remote };
}

/** Without a local port the number that was named is taken: of a service's port, its own. */
function localOf(text: string, service: Service | undefined, remote: number): number {
  if (/^\d+$/.test(text)) return numberOf(text, text);
  return service?.spec.ports?.find(({ name }) => name === text)?.port ?? remote;
}

function numberOf(text: string, whole: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > PORT_MAX)
    throw new KubectlError(`error parsing local port "${text}" of "${whole}"`);
  return port;
}

function podPort(pod: Pod, text: string): number {
  if (/^\d+$/.test(text)) {
    const port = Number(text);
    if (port < 1 || port > PORT_MAX) throw new KubectlError('remote port must be > 0');
    return port;
  }
  const all = pod.spec.containers.flatMap(({ ports = [] }) => ports);
  const found = all.find(({ name }) => name === text);
  if (!found)
    throw new KubectlError(`Pod '${pod.metadata.name}' does not have a named port '${text}'`);
  return found.containerPort;
}

function servicePort(service: Service, pod: Pod, text: string): number {
  const isIt = ({ name, port }: ServicePort) => name === text || String(port) === text;
  const found = service.spec.ports?.find(isIt);
  if (!found)
    throw new KubectlError(`Service ${service.metadata.name} does not have a service port ${text}`);
  if (service.spec.clusterIP === 'None') return found.port;
  return podPort(pod, String(found.targetPort ?? found.port));
}

/** The object that the path of a service has led to. */
function decodeService(object: Live): Service {
  const value: unknown = object;
  return value as Service;
}
