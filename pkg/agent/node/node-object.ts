/** The Node object as this node writes it: pure functions of the host and the options. */

import type { Node, NodeCondition, NodeStatus, Taint } from '../../api/generated/types.ts';
import type { Image } from '../../image/image-store.ts';
import type { Pressure } from '../eviction/thresholds.ts';
import type { HostInfo } from './host.ts';
import type { NodeLimits } from './kubelet-args.ts';
import { allocatableOf, capacityOf } from './reservations.ts';

/** An OCI runtime that RuntimeClasses may name. */
export interface RuntimeHandler {
  readonly name: string;
  readonly features: {
    readonly recursiveReadOnlyMounts: boolean;
    readonly userNamespaces: boolean;
  };
}

export interface NodeOptions {
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly limits: NodeLimits;
  /** Other OCI runtimes. */
  readonly handlers: readonly RuntimeHandler[];
  /** mini's own version, e.g. '0.1.0'. */
  readonly version: string;
  /** What of the host is missing: shown as the message of the Ready condition. */
  readonly degraded: readonly string[];
}

/** The Kubernetes release whose node behaviour this is. */
const KUBELET_VERSION = 'v1.36.0';
/** As in Kubernetes, so that the status stays small. */
const MAX_IMAGES = 50;
const MAX_IMAGE_NAMES = 5;

/** The node's own runtime, also by no name. */
const OWN_HANDLERS = ['', 'mini'].map((name) => ({
  name,
  features: { recursiveReadOnlyMounts: true, userNamespaces: true },
}));

export function newNode(options: NodeOptions, host: HostInfo) {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: options.nodeName,
      labels: nodeLabels(options, host),
      annotations: options.annotations,
    },
    spec: options.taints.length > 0 ? { taints: options.taints } : {},
  } as const;
}

export function nodeLabels(
  { nodeName, labels }: NodeOptions,
  host: HostInfo,
): Readonly<Record<string, string>> {
  return {
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': host.architecture,
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': host.architecture,
    ...labels,
  };
}

export interface StatusParts {
  readonly options: NodeOptions;
  readonly host: HostInfo;
  readonly pressure: Pressure;
  readonly images: readonly Image[];
  /** Why the node is not ready; absent = it is. */
  readonly notReady?: string;
  readonly old: Node;
  readonly nowMs: number;
}

export function nodeStatus(parts: StatusParts): NodeStatus {
  const { options, host, old } = parts;
  return {
    ...old.status,
    capacity: capacityOf(options.limits, host),
    allocatable: allocatableOf(options.limits, host),
    addresses: [
      ...options.nodeIps.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: options.nodeName },
    ],
    conditions: conditions(parts),
    features: { supplementalGroupsPolicy: true },
    runtimeHandlers: handlersOf(options.handlers),
    nodeInfo: {
      machineID: host.machineId,
      systemUUID: host.systemUuid,
      bootID: host.bootId,
      kernelVersion: host.kernelVersion,
      osImage: host.osImage,
      containerRuntimeVersion: `mini://${options.version}`,
      kubeletVersion: KUBELET_VERSION,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: host.architecture,
    },
    images: imagesOf(parts.images),
  };
}

function handlersOf(others: readonly RuntimeHandler[]): NonNullable<NodeStatus['runtimeHandlers']> {
  const found = others.map(({ name, features }) => ({
    name,
    features: {
      recursiveReadOnlyMounts: features.recursiveReadOnlyMounts,
      userNamespaces: features.userNamespaces,
    },
  }));
  return [...OWN_HANDLERS, ...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The largest ones, each with its first names. */
function imagesOf(images: readonly Image[]): NonNullable<NodeStatus['images']> {
  return [...images]
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.id < b.id ? -1 : 1))
    .slice(0, MAX_IMAGES)
    .map(({ tags, digests, sizeBytes }) => ({
      names: [...digests, ...tags].slice(0, MAX_IMAGE_NAMES),
      sizeBytes,
    }));
}

interface Verdict {
  readonly type: string;
  readonly isTrue: boolean;
  readonly reason: string;
  readonly message: string;
}

function conditions(parts: StatusParts): readonly NodeCondition[] {
  const { pressure, notReady, options, old } = parts;
  const ready: Verdict = notReady
    ? { type: 'Ready', isTrue: false, reason: 'KubeletNotReady', message: notReady }
    : {
        type: 'Ready',
        isTrue: true,
        reason: 'KubeletReady',
        message: readyMessage(options.degraded),
      };
  const verdicts: readonly Verdict[] = [
    pressure.memory
      ? verdict('MemoryPressure', true, 'KubeletHasInsufficientMemory')
      : verdict('MemoryPressure', false, 'KubeletHasSufficientMemory'),
    pressure.disk
      ? verdict('DiskPressure', true, 'KubeletHasDiskPressure')
      : verdict('DiskPressure', false, 'KubeletHasNoDiskPressure'),
    pressure.pids
      ? verdict('PIDPressure', true, 'KubeletHasInsufficientPID')
      : verdict('PIDPressure', false, 'KubeletHasSufficientPID'),
    ready,
  ];
  const own = new Set(verdicts.map(({ type }) => type));
  const others = (old.status?.conditions ?? []).filter(({ type }) => !own.has(type));
  return [...others, ...verdicts.map((one) => toCondition(one, parts))];
}

function verdict(type: string, isTrue: boolean, reason: string): Verdict {
  const words: Readonly<Record<string, string>> = {
    KubeletHasInsufficientMemory: 'kubelet has insufficient memory available',
    KubeletHasSufficientMemory: 'kubelet has sufficient memory available',
    KubeletHasDiskPressure: 'kubelet has disk pressure',
    KubeletHasNoDiskPressure: 'kubelet has no disk pressure',
    KubeletHasInsufficientPID: 'kubelet has insufficient PID available',
    KubeletHasSufficientPID: 'kubelet has sufficient PID available',
  };
  return { type, isTrue, reason, message: words[reason] ?? reason };
}

function readyMessage(degraded: readonly string[]): string {
  const status = 'kubelet is posting ready status';
  return degraded.length === 0 ? status : `${status}. WARNING: ${degraded.join('; ')}`;
}

function toCondition(
  { type, isTrue, reason, message }: Verdict,
  { old, nowMs }: StatusParts,
): NodeCondition {
  const status = isTrue ? 'True' : 'False';
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const before = old.status?.conditions?.find((condition) => condition.type === type);
  const since = before?.status === status ? before.lastTransitionTime : undefined;
  return {
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: time,
    lastTransitionTime: since ?? time,
  };
}
