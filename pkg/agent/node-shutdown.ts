/** What the end of the host means for the parts of this node: see node/shutdown.ts. */

import type { Registration } from './node/registration.ts';
import {
  SHUTDOWN_EVENT,
  SHUTDOWN_MESSAGE,
  type ShutdownGroup,
  type ShutdownNode,
  shutDownNode,
  TERMINATION,
} from './node/shutdown.ts';
import type { NodeContext } from './node-context.ts';
import type { Pods } from './pod/pods.ts';
import { isOver } from './pod/records.ts';

/** Resolves when all pods have ended or their time is over. Never rejects. */
export function shutDown(
  { admission, clock, log }: NodeContext,
  parts: {
    readonly groups: readonly ShutdownGroup[];
    readonly pods: Pods;
    readonly registration: Registration;
  },
): Promise<void> {
  const { groups, pods, registration } = parts;
  const node: ShutdownNode = {
    active: () => pods.list().filter((pod) => !isOver(pod)),
    end: (uid, graceSeconds) => pods.evict(uid, { ...TERMINATION, graceSeconds }),
    hasEnded: (uid) => pods.hasEnded(uid),
    async refuse() {
      admission.close();
      registration.tell(SHUTDOWN_EVENT);
      await registration.retire(SHUTDOWN_MESSAGE);
    },
  };
  return shutDownNode({ groups, node, clock, log });
}
