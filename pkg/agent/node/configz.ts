/** GET /configz: the node's settings in the words of the kubelet's configuration; only what is in force here. */

import type { Stats } from '../stats/stats.ts';
import type { NodeLimits, Threshold } from './kubelet-args.ts';
import type { Amount } from './kubelet-values.ts';

export function configz({ context }: Stats): object {
  const { dns, node, cgroupRoot, limits } = context;
  return {
    kubeletconfig: {
      kind: 'KubeletConfiguration',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      enableServer: true,
      enableDebuggingHandlers: true,
      enableSystemLogHandler: true,
      enableSystemLogQuery: false,
      clusterDomain: dns.clusterDomain,
      clusterDNS: dns.clusterDns,
      maxPods: Number(node.allocatable['pods'] ?? 0),
      podsPerCore: 0,
      podPidsLimit: limits.podPidsLimit ?? -1,
      ...evictionOf(limits),
      ...imagesOf(limits),
      kubeReserved: reservedOf(limits.kubeReserved),
      systemReserved: reservedOf(limits.systemReserved),
      cgroupRoot,
      cgroupDriver: 'cgroupfs',
      cgroupsPerQOS: true,
      cpuCFSQuota: true,
      cpuCFSQuotaPeriod: '100ms',
      cpuManagerPolicy: 'none',
      memoryManagerPolicy: 'None',
      topologyManagerPolicy: 'none',
      failSwapOn: false,
      memorySwap: {},
      containerLogMaxSize: String(limits.containerLogs.maxBytes),
      containerLogMaxFiles: limits.containerLogs.maxFiles,
      resolvConf: limits.resolvConf,
      allowedUnsafeSysctls: limits.unsafeSysctls,
      nodeLeaseDurationSeconds: 40,
    },
  };
}

function evictionOf({ hard, soft, minimumReclaim, ...limits }: NodeLimits) {
  const graces = soft.map(({ signal, graceMs }) => [signal, duration(graceMs)]);
  const reclaim = [...minimumReclaim].map(([signal, amount]) => [signal, amountText(amount)]);
  return {
    evictionHard: thresholds(hard),
    ...(soft.length > 0
      ? { evictionSoft: thresholds(soft), evictionSoftGracePeriod: Object.fromEntries(graces) }
      : {}),
    evictionMinimumReclaim: Object.fromEntries(reclaim),
    evictionMaxPodGracePeriod: limits.maxPodGraceSeconds,
    evictionPressureTransitionPeriod: duration(limits.pressureTransitionMs),
  };
}

function imagesOf({ imageGc, parallelPulls }: NodeLimits) {
  return {
    imageGCHighThresholdPercent: imageGc.highPercent,
    imageGCLowThresholdPercent: imageGc.lowPercent,
    imageMinimumGCAge: duration(imageGc.minAgeMs),
    imageMaximumGCAge: duration(imageGc.maxAgeMs),
    serializeImagePulls: parallelPulls === 1,
    ...(Number.isFinite(parallelPulls) ? { maxParallelImagePulls: parallelPulls } : {}),
  };
}

function reservedOf(reserved: NodeLimits['kubeReserved']): Readonly<Record<string, string>> {
  const set = Object.entries(reserved).filter(([, amount]) => amount > 0);
  return Object.fromEntries(
    set.map(([name, amount]) => [name, name === 'cpu' ? `${amount}m` : String(amount)]),
  );
}

function thresholds(list: readonly Threshold[]): Readonly<Record<string, string>> {
  return Object.fromEntries(list.map(({ signal, below }) => [signal, amountText(below)]));
}

function amountText(amount: Amount): string {
  return 'share' in amount ? `${amount.share * 100}%` : amount.quantity;
}

function duration(ms: number): string {
  return `${ms / 1000}s`;
}
