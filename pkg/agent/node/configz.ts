/** GET /configz: the node's settings in the words of the kubelet's configuration; only what is in force here. */

import type { Stats } from '../stats/stats.ts';

export function configz({ context }: Stats): object {
  const { dns, node, cgroupRoot } = context;
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
