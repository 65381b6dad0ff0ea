/**
 * The node's settings as the kubelet names them (`--kubelet-arg name=value`), read and checked. Defaults are the
 * kubelet's, but for disks, where k3s keeps less free, and for numbers of pods and processes.
 */

import { bytes, cpuMilli, parseQuantity, QuantityError } from '../../api/quantity.ts';
import { checkFixed } from './kubelet-fixed.ts';
import {
  type Amount,
  amountOf,
  booleanOf,
  durationMs,
  KubeletArgError,
  numberOf,
  pairsOf,
  percentOf,
} from './kubelet-values.ts';

/** What an eviction threshold may watch; all count what is still free. */
const SIGNALS = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'containerfs.available',
  'containerfs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof SIGNALS)[number];

export interface Threshold {
  readonly signal: Signal;
  readonly below: Amount;
  /** 0 = hard: acts at once. */
  readonly graceMs: number;
}

/** CPU in thousandths, all else in bytes or numbers. */
interface Reserved {
  readonly cpu: number;
  readonly memory: number;
  readonly 'ephemeral-storage': number;
  readonly pid: number;
}

export interface NodeLimits {
  readonly maxPods: number;
  /** Processes of one pod; undefined = no limit. */
  readonly podPidsLimit: number | undefined;
  readonly kubeReserved: Reserved;
  readonly systemReserved: Reserved;
  readonly hard: readonly Threshold[];
  readonly soft: readonly Threshold[];
  /** What is to be free beyond a threshold once it was crossed. */
  readonly minimumReclaim: ReadonlyMap<Signal, Amount>;
  /** The most that a pod has to end in when a soft threshold drives it away. */
  readonly maxPodGraceSeconds: number;
  readonly imageGc: ImageGcPolicy;
  /** Image pulls at a time; Infinity = as many as there are. */
  readonly parallelPulls: number;
  readonly containerLogs: ContainerLogPolicy;
  /** The host's resolver file; empty = pods get none of it. */
  readonly resolvConf: string;
  /** Sysctls that pods may set beside the safe ones; a `*` at the end stands for any rest. */
  readonly unsafeSysctls: readonly string[];
  /** How long a pressure condition stays after the last threshold was crossed. */
  readonly pressureTransitionMs: number;
}

interface ContainerLogPolicy {
  readonly maxBytes: number;
  /** The one that is written to and those that were rotated. */
  readonly maxFiles: number;
}

/** When images that nobody uses are removed. */
export interface ImageGcPolicy {
  /** Per cent of the disk in use from which on images are removed, and down to which. */
  readonly highPercent: number;
  readonly lowPercent: number;
  /** An image stays at least so long. */
  readonly minAgeMs: number;
  /** An image unused for so long is removed; 0 = never for that alone. */
  readonly maxAgeMs: number;
}

const NONE: Reserved = { cpu: 0, memory: 0, 'ephemeral-storage': 0, pid: 0 };
/** Mini's point is density; the kubelet has 110. */
const DEFAULT_MAX_PODS = 500;
/** Keeps a fork bomb from taking the host's; the kubelet has no limit. */
const DEFAULT_POD_PIDS = 16_384;
const DEFAULT_TRANSITION_MS = 300_000;
/** Memory as the kubelet, disks as k3s. */
const DEFAULT_HARD =
  'memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%,imagefs.inodesFree<5%';
const DEFAULT_RECLAIM = 'nodefs.available=10%,imagefs.available=10%';

const DEFAULT_LOGS = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };
/** A smaller log would be rotated at each line. */
const LOG_MIN_BYTES = 4096;
const DEFAULT_RESOLV_CONF = '/etc/resolv.conf';
const DEFAULT_IMAGE_GC = { highPercent: 85, lowPercent: 80, minAgeMs: 120_000, maxAgeMs: 0 };

type Draft = { -readonly [K in keyof NodeLimits]: NodeLimits[K] } & {
  softGraces: ReadonlyMap<Signal, number>;
};

const READERS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  'max-pods': (draft, value) => {
    draft.maxPods = numberOf(value, 0);
  },
  'pod-max-pids': (draft, value) => {
    const pids = numberOf(value, -1);
    draft.podPidsLimit = pids > 0 ? pids : undefined;
  },
  'kube-reserved': (draft, value) => {
    draft.kubeReserved = reservedOf(value);
  },
  'system-reserved': (draft, value) => {
    draft.systemReserved = reservedOf(value);
  },
  'eviction-hard': (draft, value) => {
    draft.hard = thresholdsOf(value);
  },
  'eviction-soft': (draft, value) => {
    draft.soft = thresholdsOf(value);
  },
  'eviction-soft-grace-period': (draft, value) => {
    draft.softGraces = new Map(
      pairsOf(value, '=').map(([signal, text]) => [signalOf(signal), durationMs(text)]),
    );
  },
  'eviction-minimum-reclaim': (draft, value) => {
    draft.minimumReclaim = new Map(
      pairsOf(value, '=').map(([signal, text]) => [signalOf(signal), amountOf(text)]),
    );
  },
  'eviction-max-pod-grace-period': (draft, value) => {
    draft.maxPodGraceSeconds = numberOf(value, -1);
  },
  'image-gc-high-threshold': (draft, value) => {
    draft.imageGc = { ...draft.imageGc, highPercent: percentOf(value) };
  },
  'image-gc-low-threshold': (draft, value) => {
    draft.imageGc = { ...draft.imageGc, lowPercent: percentOf(value) };
  },
  'minimum-image-ttl-duration': (draft, value) => {
    draft.imageGc = { ...draft.imageGc, minAgeMs: durationMs(value) };
  },
  'image-maximum-gc-age': (draft, value) => {
    draft.imageGc = { ...draft.imageGc, maxAgeMs: durationMs(value) };
  },
  'serialize-image-pulls': (draft, value) => {
    draft.parallelPulls = booleanOf(value) ? 1 : Number.POSITIVE_INFINITY;
  },
  'max-parallel-image-pulls': (draft, value) => {
    draft.parallelPulls = numberOf(value, 1);
  },
  'container-log-max-size': (draft, value) => {
    const maxBytes = bytes(value);
    if (maxBytes < LOG_MIN_BYTES) throw new KubeletArgError('it must be at least 4Ki');
    draft.containerLogs = { ...draft.containerLogs, maxBytes };
  },
  'container-log-max-files': (draft, value) => {
    draft.containerLogs = { ...draft.containerLogs, maxFiles: numberOf(value, 2) };
  },
  'resolv-conf': (draft, value) => {
    if (value !== '' && !value.startsWith('/'))
      throw new KubeletArgError('it must be an absolute path, or empty');
    draft.resolvConf = value;
  },
  'allowed-unsafe-sysctls': (draft, value) => {
    draft.unsafeSysctls = value.split(',').filter(Boolean).map(sysctlOf);
  },
  'eviction-pressure-transition-period': (draft, value) => {
    draft.pressureTransitionMs = durationMs(value);
  },
};

/** The names that can be set. */
export const KUBELET_ARGS: readonly string[] = Object.keys(READERS);

/** Settings from `name=value` texts; the last of a name wins. Throws a KubeletArgError that names what is wrong. */
export function parseKubeletArgs(args: readonly string[]): NodeLimits {
  const draft: Draft = {
    maxPods: DEFAULT_MAX_PODS,
    podPidsLimit: DEFAULT_POD_PIDS,
    kubeReserved: NONE,
    systemReserved: NONE,
    hard: thresholdsOf(DEFAULT_HARD),
    soft: [],
    minimumReclaim: new Map(
      pairsOf(DEFAULT_RECLAIM, '=').map(([signal, text]) => [signalOf(signal), amountOf(text)]),
    ),
    maxPodGraceSeconds: 0,
    pressureTransitionMs: DEFAULT_TRANSITION_MS,
    imageGc: DEFAULT_IMAGE_GC,
    parallelPulls: Number.POSITIVE_INFINITY,
    containerLogs: DEFAULT_LOGS,
    resolvConf: DEFAULT_RESOLV_CONF,
    unsafeSysctls: [],
    softGraces: new Map(),
  };
  for (const arg of args) {
    const at = arg.indexOf('=');
    const name = arg.slice(0, Math.max(at, 0)).replace(/^--/, '');
    if (at <= 0) throw new KubeletArgError('it must be name=value, such as max-pods=200');
    const reader = READERS[name];
    if (!reader) {
      checkFixed({ name, value: arg.slice(at + 1) }, KUBELET_ARGS);
      continue;
    }
    try {
      reader(draft, arg.slice(at + 1));
    } catch (error) {
      if (!(error instanceof KubeletArgError) && !(error instanceof QuantityError)) throw error;
      throw new KubeletArgError(`${name}: ${error.message}`);
    }
  }
  const { softGraces, ...limits } = draft;
  const soft = draft.soft.map((one) => ({ ...one, graceMs: softGraces.get(one.signal) ?? 0 }));
  return { ...limits, soft };
}

/** Throws a KubeletArgError when settings contradict each other, or a soft threshold has no grace period. */
export function checkThresholds({ soft, imageGc }: NodeLimits): void {
  if (imageGc.lowPercent >= imageGc.highPercent)
    throw new KubeletArgError(
      `image-gc-low-threshold must be below image-gc-high-threshold: ${imageGc.lowPercent} is not below ${imageGc.highPercent}`,
    );
  const lacking = soft.find(({ graceMs }) => graceMs === 0);
  if (lacking === undefined) return;
  throw new KubeletArgError(
    `eviction-soft: ${lacking.signal} needs a grace period: eviction-soft-grace-period=${lacking.signal}=1m30s`,
  );
}

function reservedOf(value: string): Reserved {
  const reserved = { ...NONE };
  for (const [name, text] of pairsOf(value, '=')) {
    if (name !== 'cpu' && name !== 'memory' && name !== 'ephemeral-storage' && name !== 'pid')
      throw new KubeletArgError(
        `"${name}" cannot be reserved: there are cpu, memory, ephemeral-storage and pid`,
      );
    if (parseQuantity(text).nanos < 0n) throw new KubeletArgError(`"${text}" is negative`);
    reserved[name] = name === 'cpu' ? cpuMilli(text) : bytes(text);
  }
  return reserved;
}

function thresholdsOf(value: string): Threshold[] {
  return pairsOf(value, '<').map(([signal, text]) => ({
    signal: signalOf(signal),
    below: amountOf(text),
    graceMs: 0,
  }));
}

function signalOf(text: string): Signal {
  const signal = SIGNALS.find((one) => one === text);
  if (signal !== undefined) return signal;
  throw new KubeletArgError(`"${text}" is no eviction signal: there are ${SIGNALS.join(', ')}`);
}

/** Those that a pod has to itself: what it sets there, no other pod sees. */
const NAMESPACED = ['kernel.shm', 'kernel.msg', 'kernel.sem', 'fs.mqueue.', 'net.'];

function sysctlOf(text: string): string {
  const name = text.trim().replaceAll('/', '.');
  if (NAMESPACED.some((prefix) => name.startsWith(prefix))) return name;
  throw new KubeletArgError(`"${text}" is not a sysctl that a pod can have to itself`);
}
