/**
 * GET /stats/usage: what the metrics API tells of this node and its pods, and nothing else. Mini's own path; the
 * server asks for it when somebody asks the server.
 */

import type { Rate } from './sampler.ts';
import { NODE_KEY } from './snapshot.ts';
import type { Stats } from './stats.ts';

export interface Usage {
  readonly timestamp: string;
  readonly node: Amounts;
  readonly pods: readonly PodAmounts[];
}

interface Amounts {
  readonly windowMs: number;
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
}

interface PodAmounts {
  readonly uid: string;
  readonly containers: readonly (Amounts & { readonly name: string })[];
}

export async function usageOf(stats: Stats): Promise<Usage> {
  const { snapshot, rates } = await stats.measure();
  const amounts = (rate: Rate | undefined, memoryBytes: number): Amounts => ({
    windowMs: rate?.windowMs ?? 0,
    cpuNanoCores: rate?.nanoCores ?? 0,
    memoryBytes,
  });
  const { node, pods, atMs } = snapshot;
  return {
    timestamp: new Date(atMs).toISOString(),
    node: amounts(rates.get(NODE_KEY), node.memory.workingSetBytes),
    pods: pods.map(({ pod, containers }) => ({
      uid: pod.metadata.uid,
      // One without a rate has started or ended just now: the next look tells.
      containers: containers.flatMap(({ name, info, usage }) => {
        const rate = rates.get(info.id);
        if (!rate || !usage?.memory) return [];
        return [{ name, ...amounts(rate, usage.memory.workingSetBytes) }];
      }),
    })),
  };
}
