/**
 * What a pod as a whole asks for and may use. Source: k8s.io/component-helpers/resource: containers and sidecars
 * together, or the most that any init container takes beside the sidecars started before it; pod-level amounts win;
 * plus overhead.
 */

import type { Container, Pod } from './generated/types.ts';
import { addQuantities, bytes, compareQuantities, cpuMilli } from './quantity.ts';

type Kind = 'requests' | 'limits';

/** What a pod as a whole can ask for, beside huge pages. */
export const POD_RESOURCES: readonly string[] = ['cpu', 'memory'];

/** One resource of a pod: CPU in thousandths, all else in whole units; 0 = none. */
export function podAmount({ spec }: Pod, kind: Kind, name: string): number {
  const own = spec.resources?.[kind]?.[name] ?? podLevelRequest(spec, kind, name);
  const amount = own === undefined ? containersAmount(spec, kind, name) : amountOf(name, own);
  const overhead = amountOf(name, spec.overhead?.[name]);
  // A pod without a limit does not get one by its overhead.
  return kind === 'limits' && amount === 0 ? 0 : amount + overhead;
}

/** A pod-level limit is the request, too, when there is none of the pod nor of any container. */
function podLevelRequest(spec: Pod['spec'], kind: Kind, name: string): string | undefined {
  if (kind === 'limits' || containersAmount(spec, kind, name) > 0) return undefined;
  return spec.resources?.limits?.[name];
}

/** CPU in thousandths, all else in whole units; 0 when absent. */
export function amountOf(name: string, quantity: string | undefined): number {
  return name === 'cpu' ? cpuMilli(quantity) : bytes(quantity);
}

function containersAmount(spec: Pod['spec'], kind: Kind, name: string): number {
  const of = ({ resources }: Container) => amountOf(name, resources?.[kind]?.[name]);
  let sidecars = 0;
  let peak = 0;
  for (const container of spec.initContainers ?? []) {
    const amount = of(container);
    if (container.restartPolicy === 'Always') sidecars += amount;
    peak = Math.max(peak, container.restartPolicy === 'Always' ? sidecars : sidecars + amount);
  }
  const main = spec.containers.reduce((sum, container) => sum + of(container), 0);
  return Math.max(main + sidecars, peak);
}

/** The same as a quantity, in the format of the first one; undefined when no container says. */
export function containersQuantity(
  { containers, initContainers = [] }: Pod['spec'],
  kind: Kind,
  name: string,
): string | undefined {
  const isSidecar = ({ restartPolicy }: Container) => restartPolicy === 'Always';
  const together = [
    [...containers, ...initContainers.filter(isSidecar)],
    ...initContainers.map((one, at) => [one, ...initContainers.slice(0, at).filter(isSidecar)]),
  ];
  return together
    .flatMap((list) => {
      const quantities = list.flatMap(({ resources }) => resources?.[kind]?.[name] ?? []);
      return quantities.length > 0 ? [addQuantities(...quantities)] : [];
    })
    .sort(compareQuantities)
    .at(-1);
}

type Amounts = Readonly<Record<string, string>>;

/**
 * What each container counts with: the most of what it asks for, was given and has in fact, as these differ during a
 * resize. One that its node cannot grant does not count.
 */
export function containerRequests(pod: Pod): (container: Container) => Amounts {
  const { conditions = [], containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const statuses = [...containerStatuses, ...initContainerStatuses];
  const isInfeasible = conditions.some(
    ({ type, status, reason }) =>
      type === 'PodResizePending' && status === 'True' && reason === 'Infeasible',
  );
  return ({ name, resources }) => {
    const asked = resources?.requests ?? {};
    const status = statuses.find((one) => one.name === name);
    if (!status?.allocatedResources) return asked;
    const had = largest(status.resources?.requests ?? {}, status.allocatedResources);
    return isInfeasible ? had : largest(asked, had);
  };
}

function largest(a: Amounts, b: Amounts): Amounts {
  const merged: Record<string, string> = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const other = merged[name];
    if (other === undefined || compareQuantities(amount, other) > 0) merged[name] = amount;
  }
  return merged;
}
