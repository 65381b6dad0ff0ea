/** The network of this node's pods as the agent uses it. */

import type { Logger } from '../../log/log.ts';
import type { NodeEvents } from '../events.ts';
import { nodeReference } from './node-reference.ts';

export interface PodNetwork {
  /** The range that an earlier agent of this host was given. */
  readonly podCidr?: string | undefined;
  /** Makes the bridge ready for this range of pod addresses. */
  setPodCidr(cidr: string): Promise<void>;
  /** What pods of this host have to do without, once the bridge is ready. */
  readonly problem?: string | undefined;
  /** Calls back when `problem` has changed. */
  onProblem?(listener: () => void): void;
}

interface NetworkParts {
  readonly network: PodNetwork;
  readonly nodeName: string;
  readonly log: Logger;
}

/**
 * Returns what is to be called with the node's range of pod addresses; that of an earlier agent is taken at once, so
 * that pods that need no API start before it answers. What the network cannot give is told: pods run without it.
 */
export function preparePodNetwork(
  { network, nodeName, log }: NetworkParts,
  to: { readonly events: NodeEvents; readonly degraded: string[]; ready(): void },
): (cidr: string) => Promise<void> {
  let told: string | undefined;
  const tell = () => {
    const { problem } = network;
    if (problem === told) return;
    if (told !== undefined) to.degraded.splice(to.degraded.indexOf(told), 1);
    told = problem;
    if (problem === undefined) return;
    to.degraded.push(problem);
    const details = { type: 'Warning', reason: 'NetworkDegraded', message: problem } as const;
    to.events.record(nodeReference(nodeName), details);
  };
  network.onProblem?.(tell);
  const setPodCidr = async (cidr: string) => {
    await network.setPodCidr(cidr);
    to.ready();
    tell();
  };
  const { podCidr } = network;
  if (podCidr !== undefined) {
    setPodCidr(podCidr).catch((error: unknown) => {
      log.warn('Could not make the pod network ready before the server answers', {
        podCidr,
        error,
      });
    });
  }
  return setPodCidr;
}
