/**
 * Whether a container that ended runs again: its rules for exit codes, its own policy, the pod's. A rule may also
 * restart all containers of the pod; how often that happened is the pod's epoch, which every container carries as a
 * label from its creation.
 */

import type { Container, Pod } from '../../api/generated/types.ts';
import {
  type ContainerRecord,
  initContainers,
  isSidecar,
  mainContainers,
  newest,
  type PodView,
} from './records.ts';

type RestartAction = 'Restart' | 'RestartAllContainers';

/** What the container's first rule that matches says; undefined when none does. */
function ruleFor(container: Container, exitCode: number): RestartAction | undefined {
  const rule = (container.restartPolicyRules ?? []).find(({ exitCodes }) => {
    const isListed = exitCodes?.values?.includes(exitCode) === true;
    return exitCodes?.operator === 'NotIn' ? !isListed : isListed;
  });
  if (!rule) return undefined;
  return rule.action === 'RestartAllContainers' ? 'RestartAllContainers' : 'Restart';
}

/** Whether a container that ended is to run again. */
export function restarts(pod: Pod, container: Container, last: ContainerRecord): boolean {
  const exitCode = last.ended?.exitCode ?? 0;
  if (ruleFor(container, exitCode)) return true;
  const isPlainInit = initContainers(pod).includes(container) && !isSidecar(container);
  const policy = container.restartPolicy ?? pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Always') return !(isPlainInit && exitCode === 0);
  return policy === 'OnFailure' && exitCode !== 0;
}

/** Whether a rule of the pod can restart all its containers. */
export function mayRestartAll(pod: Pod): boolean {
  return [...initContainers(pod), ...mainContainers(pod)].some(({ restartPolicyRules = [] }) =>
    restartPolicyRules.some(({ action }) => action === 'RestartAllContainers'),
  );
}

/** The epoch that the pod's containers are to be of: one more than theirs once a rule has restarted them all. */
export function epochOf(pod: Pod, view: PodView): number {
  const all = [...initContainers(pod), ...mainContainers(pod)];
  const epoch = latestEpoch(view);
  const hasTrigger = all.some((container) => {
    const last = newest(view, container.name);
    if (last?.ended === undefined || last.epoch !== epoch) return false;
    return ruleFor(container, last.ended.exitCode) === 'RestartAllContainers';
  });
  return hasTrigger ? epoch + 1 : epoch;
}

/** Whether all containers are to be restarted and none of them has been yet. */
export function isRestartingAll(pod: Pod, view: PodView): boolean {
  return epochOf(pod, view) > latestEpoch(view);
}

function latestEpoch({ containers }: PodView): number {
  return Math.max(0, ...[...containers.values()].flat().map(({ epoch }) => epoch));
}

/** The view without the containers of earlier epochs. */
export function viewOfEpoch(view: PodView, epoch: number): PodView {
  const containers = new Map(
    [...view.containers].map(([name, records]) => [
      name,
      records.filter((record) => record.epoch >= epoch),
    ]),
  );
  return { ...view, containers };
}
