/** Node ports of services, from one range for all protocols. Used by service-addresses.ts alone. */

import { randomInt } from 'node:crypto';
import { internalError, invalid } from '../../api/errors.ts';
import type { Service } from '../../api/generated/types.ts';
import type { AdmissionRequest } from '../contract.ts';
import type { Reservations } from './reservations.ts';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const DEFAULT_RANGE: PortRange = { first: 30_000, last: 32_767 };

type Port = NonNullable<Service['spec']['ports']>[number];

interface Context {
  readonly request: AdmissionRequest;
  readonly old: Service | undefined;
}

export class NodePorts {
  readonly #range: PortRange;
  readonly #reserved: Reservations;

  constructor(range: PortRange | undefined, reserved: Reservations) {
    this.#range = range ?? DEFAULT_RANGE;
    this.#reserved = reserved;
  }

  /** Completes a service's node ports; drops those that a change of type made meaningless. Throws Invalid. */
  allocate(context: Context, service: Service): Service {
    const { spec } = service;
    const { old } = context;
    if (!needsPorts(service)) return old && needsPorts(old) ? withoutPorts(service, old) : service;
    const used = this.#used(context.request);
    const own = new Set<string>();
    const ports = spec.ports?.map((port) => {
      const nodePort = port.nodePort || kept(old, port) || this.#free(used, own);
      this.#check({ service, context, used }, { ...port, nodePort });
      own.add(keyOf({ ...port, nodePort }));
      return { ...port, nodePort };
    });
    const isLocal = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
    const health = isLocal
      ? {
          healthCheckNodePort:
            spec.healthCheckNodePort || old?.spec.healthCheckNodePort || this.#free(used, own),
        }
      : {};
    for (const port of ports ?? []) this.#reserve(context.request, keyOf(port));
    if (health.healthCheckNodePort)
      this.#reserve(context.request, `TCP/${health.healthCheckNodePort}`);
    return { ...service, spec: { ...spec, ...(ports ? { ports } : {}), ...health } };
  }

  #reserve(request: AdmissionRequest, key: string): void {
    if (!request.isDryRun) this.#reserved.add(key);
  }

  #check(
    { service, context, used }: { service: Service; context: Context; used: ReadonlySet<string> },
    port: Port & { readonly nodePort: number },
  ): void {
    const { first, last } = this.#range;
    const isOwn = kept(context.old, port) === port.nodePort;
    const refuse = (why: string) =>
      invalid({ kind: 'Service', group: '' }, service.metadata.name, [
        {
          reason: 'FieldValueInvalid',
          field: 'spec.ports[].nodePort',
          message: `Invalid value: ${port.nodePort}: ${why}`,
        },
      ]);
    if (isOwn) return;
    if (port.nodePort < first || port.nodePort > last) {
      throw refuse(
        `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
      );
    }
    if (used.has(keyOf(port)) || this.#reserved.has(keyOf(port)))
      throw refuse('provided port is already allocated');
  }

  #free(used: ReadonlySet<string>, own: ReadonlySet<string>): number {
    const { first, last } = this.#range;
    const size = last - first + 1;
    const start = randomInt(size);
    const isTaken = (key: string) => used.has(key) || own.has(key) || this.#reserved.has(key);
    for (let step = 0; step < size; step += 1) {
      const port = first + ((start + step) % size);
      if (!PROTOCOLS.some((protocol) => isTaken(`${protocol}/${port}`))) return port;
    }
    throw internalError(new Error('failed to allocate a nodePort: range is full'));
  }

  #used({ registry, namespace, name }: AdmissionRequest): Set<string> {
    const used = new Set<string>();
    for (const { metadata, spec } of registry.list<Service>('services').items) {
      if (metadata.namespace === namespace && metadata.name === name) continue;
      for (const port of spec.ports ?? []) if (port.nodePort) used.add(keyOf(port));
      if (spec.healthCheckNodePort) used.add(`TCP/${spec.healthCheckNodePort}`);
    }
    return used;
  }
}

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];

function keyOf({ protocol, nodePort }: Pick<Port, 'protocol' | 'nodePort'>): string {
  return `${protocol ?? 'TCP'}/${nodePort}`;
}

function needsPorts({ spec }: Service): boolean {
  if (spec.type === 'NodePort') return true;
  return spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false;
}

/** The node port that this port had, found by port and protocol. */
function kept(old: Service | undefined, { port, protocol }: Port): number | undefined {
  return old?.spec.ports?.find(
    (each) => each.port === port && (each.protocol ?? 'TCP') === (protocol ?? 'TCP'),
  )?.nodePort;
}

/** Ports that were only carried over from the old type go; one that the client names anew is refused by validation. */
function withoutPorts(service: Service, old: Service): Service {
  const { healthCheckNodePort: _health, ...spec } = service.spec;
  const ports = spec.ports?.map((port) => {
    const { nodePort, ...rest } = port;
    return nodePort !== undefined && nodePort === kept(old, port) ? rest : port;
  });
  return { ...service, spec: { ...spec, ...(ports ? { ports } : {}) } };
}
