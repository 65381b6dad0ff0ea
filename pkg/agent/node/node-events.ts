/** The events by which a node tells of itself, in the kubelet's words. Pure. */

import type { Node, NodeCondition } from '../../api/generated/types.ts';
import type { EventDetails } from '../events.ts';

/** By type and status of a condition: the reason of its event. */
const REASONS: Readonly<Record<string, string>> = {
  'MemoryPressure=True': 'NodeHasInsufficientMemory',
  'MemoryPressure=False': 'NodeHasSufficientMemory',
  'DiskPressure=True': 'NodeHasDiskPressure',
  'DiskPressure=False': 'NodeHasNoDiskPressure',
  'PIDPressure=True': 'NodeHasInsufficientPID',
  'PIDPressure=False': 'NodeHasSufficientPID',
  'Ready=True': 'NodeReady',
  'Ready=False': 'NodeNotReady',
};

export function startingEvent(): EventDetails {
  return { type: 'Normal', reason: 'Starting', message: 'Starting kubelet.' };
}

/** What to tell after a status was written; `before` is what this agent wrote last, absent at its start. */
export function nodeEvents(before: Node | undefined, stored: Node, now: Node): EventDetails[] {
  const { name } = now.metadata;
  const told = (reason: string): EventDetails => ({
    type: 'Normal',
    reason,
    message: `Node ${name} status is now: ${reason}`,
  });
  const changed = conditionsOf(now).filter((condition) => {
    // Whether a node is ready survives its agent; what it has enough of is measured anew.
    const known = condition.type === 'Ready' ? (before ?? stored) : before;
    const old = conditionsOf(known).find(({ type }) => type === condition.type);
    return old?.status !== condition.status;
  });
  const reasons = changed.flatMap(({ type, status }) => REASONS[`${type}=${status}`] ?? []);
  return [...rebooted(stored, now), ...reasons.map(told)];
}

function rebooted(stored: Node, now: Node): EventDetails[] {
  const [old, own] = [stored.status?.nodeInfo?.bootID, now.status?.nodeInfo?.bootID];
  if (!old || !own || old === own) return [];
  const message = `Node ${now.metadata.name} has been rebooted, boot id: ${own}`;
  return [{ type: 'Warning', reason: 'Rebooted', message }];
}

/** `kubectl cordon` and `uncordon`, as the node sees them. */
export function schedulingEvent(before: Node | undefined, now: Node): EventDetails | undefined {
  const is = now.spec?.unschedulable === true;
  if (!before || (before.spec?.unschedulable === true) === is) return undefined;
  const reason = is ? 'NodeNotSchedulable' : 'NodeSchedulable';
  const message = `Node ${now.metadata.name} status is now: ${reason}`;
  return { type: 'Normal', reason, message };
}

function conditionsOf(node: Node | undefined): readonly NodeCondition[] {
  return node?.status?.conditions ?? [];
}
