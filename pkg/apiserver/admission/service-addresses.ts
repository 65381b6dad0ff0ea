/**
 * Gives services their cluster IPs and node ports. What is in use is read from the services themselves and from
 * reservations of writes in flight; choosing and reserving happen in one turn of the event loop, so no two get the same.
 */

import { randomInt } from 'node:crypto';
import { internalError, invalid } from '../../api/errors.ts';
import type { Service } from '../../api/generated/types.ts';
import type { Admission, AdmissionRequest, Registry } from '../contract.ts';
import { type AddressRange, canonicalAddress, parseRange } from './address-range.ts';
import { NodePorts, type PortRange } from './node-ports.ts';
import { Reservations } from './reservations.ts';
import { isOn, objectAs } from './subject.ts';

const NONE = 'None';

export interface ServiceAddressOptions {
  /** --service-cidr: one range, or one of each family, the first being the default. */
  readonly serviceCidrs: readonly string[];
  readonly nodePorts?: PortRange;
  readonly now: () => number;
}

/** Makes the plug-in. Throws on a range that cannot be read. */
export function serviceAddresses(options: ServiceAddressOptions): Admission {
  const ranges = options.serviceCidrs.map(parseRange);
  const reserved = new Reservations(options.now);
  const ports = new NodePorts(options.nodePorts, new Reservations(options.now));
  return {
    name: 'ServiceAddresses',
    admit(request) {
      const isCreate = isOn(request, 'CREATE', 'services');
      if (!isCreate && !isOn(request, 'UPDATE', 'services')) return request.object;
      const service = objectAs<Service>(request.object, 'Service');
      if (!service) return request.object;
      const old = objectAs<Service>(request.old, 'Service');
      const kept = old ? keepAddresses(service, old) : service;
      const addressed = allocate({ ranges, reserved, request }, kept);
      return ports.allocate({ request, old }, addressed);
    },
  };
}

interface Allocation {
  readonly ranges: readonly AddressRange[];
  readonly reserved: Reservations;
  readonly request: AdmissionRequest;
}

/** A replacement that leaves the addresses out keeps those it has. */
function keepAddresses(service: Service, { spec }: Service): Service {
  const isAddressed = service.spec.type !== 'ExternalName' && spec.type !== 'ExternalName';
  if (!isAddressed || service.spec.clusterIP || !spec.clusterIP) return service;
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = spec;
  return {
    ...service,
    spec: {
      ...(ipFamilies ? { ipFamilies } : {}),
      ...(ipFamilyPolicy ? { ipFamilyPolicy } : {}),
      ...service.spec,
      clusterIP,
      ...(clusterIPs ? { clusterIPs } : {}),
    },
  };
}

function allocate(allocation: Allocation, service: Service): Service {
  const { spec } = service;
  if (spec.type === 'ExternalName') return service;
  const families = familiesOf(allocation, service);
  const asked = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
  const isHeadless = asked[0] === NONE;
  const clusterIPs = isHeadless
    ? [NONE]
    : families.map((range, index) =>
        addressFor(allocation, { service, range, asked: asked[index] }),
      );
  return {
    ...service,
    spec: {
      ...spec,
      clusterIP: clusterIPs[0] ?? '',
      clusterIPs,
      ipFamilies: families.map(({ family }) => family),
      ipFamilyPolicy:
        spec.ipFamilyPolicy ?? (families.length > 1 ? 'RequireDualStack' : 'SingleStack'),
    },
  };
}

/** The ranges that a service takes its addresses from, in the order of its families. */
function familiesOf({ ranges }: Allocation, service: Service): readonly AddressRange[] {
  const { ipFamilies, ipFamilyPolicy, clusterIPs, clusterIP } = service.spec;
  const fixed = (clusterIPs ?? [clusterIP ?? '']).filter((ip) => ip && ip !== NONE);
  const named =
    ipFamilies ?? fixed.flatMap((ip) => ranges.find((range) => range.contains(ip))?.family ?? []);
  const chosen = named.map((family) => {
    const range = ranges.find((each) => each.family === family);
    if (!range)
      throw refuse(service, {
        field: 'spec.ipFamilies',
        message: `Invalid value: "${family}": not configured on this cluster`,
      });
    return range;
  });
  const isDual = ipFamilyPolicy === 'RequireDualStack' || ipFamilyPolicy === 'PreferDualStack';
  if (ipFamilyPolicy === 'RequireDualStack' && ranges.length < 2) {
    throw refuse(service, {
      field: 'spec.ipFamilyPolicy',
      message:
        'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    });
  }
  const rest = ranges.filter((range) => !chosen.includes(range));
  return isDual ? [...chosen, ...rest] : chosen.length > 0 ? chosen : ranges.slice(0, 1);
}

interface Wanted {
  readonly service: Service;
  readonly range: AddressRange;
  readonly asked: string | undefined;
}

function addressFor({ reserved, request }: Allocation, { service, range, asked }: Wanted): string {
  const used = usedAddresses(request.registry, request);
  const isFree = (ip: string) => !used.has(ip) && !reserved.has(ip);
  const take = (ip: string) => {
    if (!request.isDryRun) reserved.add(ip);
    return ip;
  };
  if (!asked) return take(freeAddress(range, isFree));
  const ip = canonicalAddress(asked);
  const old = objectAs<Service>(request.old, 'Service');
  if (old?.spec.clusterIPs?.includes(asked)) return asked;
  const why = !range.contains(ip)
    ? `provided IP is not in the valid range`
    : !isFree(ip)
      ? 'provided IP is already allocated'
      : undefined;
  if (why)
    throw refuse(service, {
      field: 'spec.clusterIPs',
      message: `Invalid value: ["${asked}"]: failed to allocate IP ${asked}: ${why}`,
    });
  return take(ip);
}

/** A random start spreads addresses; the low end is left for services that ask for a fixed one (KEP-3070). */
function freeAddress(range: AddressRange, isFree: (ip: string) => boolean): string {
  const low = Math.min(Math.max(16, Math.floor(range.size / 16)), 256, range.size);
  const upper = range.size - low;
  const start = upper > 0 ? randomInt(upper) : 0;
  for (let step = 0; step < range.size; step += 1) {
    // First round the upper part from `start`, then the low end.
    const n = step < upper ? low + 1 + ((start + step) % upper) : step - upper + 1;
    const ip = range.at(n);
    if (isFree(ip)) return ip;
  }
  throw internalError(new Error('failed to allocate a serviceIP: range is full'));
}

function usedAddresses(registry: Registry, { namespace, name }: AdmissionRequest): Set<string> {
  const used = new Set<string>();
  for (const { metadata, spec } of registry.list<Service>('services').items) {
    if (metadata.namespace === namespace && metadata.name === name) continue;
    for (const ip of spec.clusterIPs ?? [spec.clusterIP ?? '']) used.add(ip);
  }
  return used;
}

function refuse({ metadata }: Service, { field, message }: { field: string; message: string }) {
  return invalid({ kind: 'Service', group: '' }, metadata.name, [
    { reason: 'FieldValueInvalid', field, message },
  ]);
}
