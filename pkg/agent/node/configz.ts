/** GET /configz: the node's settings in the words of the kubelet's configuration; only what is in force here. */

import type { Stats } from '../stats/stats.ts';
import type { Threshold } from './kubelet-args.ts';

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
      evictionHard: thresholds(limits.hard),
      ...(limits.soft.length > 0 ? { evictionSoft: thresholds(limits.soft) } : {}),
      evictionMaxPodGracePeriod: limits.maxPodGraceSeconds,
      evictionPressureTransitionPeriod: `${limits.pressureTransitionMs / 1000}s`,
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
      containerLogMaxSize: '10Mi',
      containerLogMaxFiles: 5,
      serializeImagePulls: false,
      nodeLeaseDurationSeconds: 40,
    },
  };
}

function thresholds(list: readonly Threshold[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    list.map(({ signal, below }) => [
      signal,
      'share' in below ? `${below.share * 100}%` : below.quantity,
    ]),
  );
}
