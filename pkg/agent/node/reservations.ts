/** What of a host pods may have: capacity, allocatable, and the limits of the cgroup of all pods. Pure. */

import { bytes } from '../../api/quantity.ts';
import type { Resources } from '../../engine/engine.ts';
import { binarySize } from '../pod/huge-pages.ts';
import { toShares } from '../pod/resources.ts';
import type { HostInfo } from './host.ts';
import type { NodeLimits, Signal } from './kubelet-args.ts';
import type { Amount } from './kubelet-values.ts';

type Quantities = Readonly<Record<string, string>>;

export function capacityOf({ maxPods }: NodeLimits, host: HostInfo): Quantities {
  return {
    cpu: String(host.cpus),
    memory: kib(host.memoryBytes),
    'ephemeral-storage': kib(host.storageBytes),
    pods: String(maxPods),
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    ...Object.fromEntries(
      Object.entries(host.hugePages ?? {}).map(([size, all]) => [
        `hugepages-${size}`,
        binarySize(all),
      ]),
    ),
  };
}

/** Capacity without what is reserved and what the hard eviction thresholds keep free. */
export function allocatableOf(limits: NodeLimits, host: HostInfo): Quantities {
  const memory =
    podMemoryBytes(limits, host) -
    keptFree(limits, 'memory.available', host.memoryBytes) -
    hugePageBytes(host);
  const storage =
    host.storageBytes -
    reserved(limits, 'ephemeral-storage') -
    keptFree(limits, 'nodefs.available', host.storageBytes);
  const milli = podCpuMilli(limits, host);
  return {
    ...capacityOf(limits, host),
    cpu: milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`,
    memory: kib(Math.max(0, memory)),
    'ephemeral-storage': kib(Math.max(0, storage)),
  };
}

/** Memory that is set aside for huge pages and nothing else. */
function hugePageBytes({ hugePages = {} }: HostInfo): number {
  return Object.values(hugePages).reduce((sum, size) => sum + size, 0);
}

/** Limits of the cgroup of all pods: what is reserved stays out of their reach. */
export function podsCgroup(limits: NodeLimits, host: HostInfo): Resources {
  const pids = reserved(limits, 'pid');
  return {
    cpuShares: toShares(podCpuMilli(limits, host)),
    memoryLimitBytes: podMemoryBytes(limits, host),
    ...(pids > 0 ? { pidsLimit: Math.max(1, host.pids - pids) } : {}),
  };
}

/** How much an amount is of `capacity`. */
export function resolveAmount(amount: Amount, capacity: number): number {
  return 'share' in amount ? Math.floor(amount.share * capacity) : bytes(amount.quantity);
}

type ReservedName = keyof NodeLimits['kubeReserved'];

function reserved({ kubeReserved, systemReserved }: NodeLimits, name: ReservedName): number {
  return kubeReserved[name] + systemReserved[name];
}

function podCpuMilli(limits: NodeLimits, host: HostInfo): number {
  return Math.max(0, host.cpus * 1000 - reserved(limits, 'cpu'));
}

function podMemoryBytes(limits: NodeLimits, host: HostInfo): number {
  return Math.max(0, host.memoryBytes - reserved(limits, 'memory'));
}

function keptFree({ hard }: NodeLimits, signal: Signal, capacity: number): number {
  const threshold = hard.find((one) => one.signal === signal);
  return threshold === undefined ? 0 : resolveAmount(threshold.below, capacity);
}

/** Whole kibibytes, as nodes show their memory. */
function kib(amount: number): string {
  return `${Math.floor(amount / 1024)}Ki`;
}
