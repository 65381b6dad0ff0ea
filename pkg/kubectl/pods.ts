/** Pods that a command line means: by name, through a workload or a service, and their containers. */

import type { Pod } from '../api/generated/types.ts';
import { isObject } from '../api/json.ts';
import { formatSelector, selectorOf, selectorOfMap } from '../api/selectors.ts';
import type { Api, Live } from './api.ts';
import { type Kind, resourceText } from './kinds.ts';
import { KubectlError } from './kubectl-error.ts';
import { oneTarget } from './targets.ts';

/** Tells the user of a choice that was made for him. */
export type Tell = (text: string) => void;

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** The pod of `NAME` or `TYPE/NAME`; of several pods of a workload the one that is most alive. */
export async function podOf(api: Api, name: string, tell: Tell = () => undefined): Promise<Pod> {
  const { kind, object } = await namedObject(api, name);
  if (resourceText(kind) === 'pods') return decodePod(object);
  const pods = await podsOf(api, kind, object);
  const [first] = [...pods].sort((a, b) => liveliness(b) - liveliness(a));
  if (!first)
    throw new KubectlError(`no pods found for ${resourceText(kind)}/${object.metadata.name}`);
  if (pods.length > 1) tell(`Found ${pods.length} pods, using pod/${first.metadata.name}\n`);
  return first;
}

/** The object of `NAME` (a pod) or `TYPE/NAME`. */
export async function namedObject(
  api: Api,
  name: string,
): Promise<{ readonly kind: Kind; readonly object: Live }> {
  const target = await oneTarget(api, [name], 'pods');
  const namespace = api.namespaceOf(target.kind);
  return { kind: target.kind, object: await api.get({ ...target, namespace }) };
}

/** The pods that the selector of an object chooses. */
async function podsOf(api: Api, kind: Kind, object: Live): Promise<readonly Pod[]> {
  const labelSelector = selectorText(object);
  if (!labelSelector)
    throw new KubectlError(`cannot get the pods of ${resourceText(kind)}: it has no selector`);
  const { namespace = api.namespace } = object.metadata;
  return (await api.client.list<Pod>('pods', { namespace, labelSelector })).items;
}

/** The selector of a workload or a service in its text form; '' when there is none. */
function selectorText({ spec }: Live): string {
  const selector = isObject(spec) ? spec['selector'] : undefined;
  if (!isObject(selector)) return '';
  const isFull = 'matchLabels' in selector || 'matchExpressions' in selector;
  return formatSelector(isFull ? selectorOf(selector) : selectorOfMap(decodeLabels(selector)));
}

/** The container that -c names, else the annotated one, else the first, which is told when there are others. */
export function containerOf(pod: Pod, asked: string | undefined, tell: Tell): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const all = [...containers, ...initContainers, ...ephemeralContainers].map(({ name }) => name);
  if (asked) {
    if (all.includes(asked)) return asked;
    throw new KubectlError(`container ${asked} not found in pod ${pod.metadata.name}`);
  }
  const annotated = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  if (annotated && all.includes(annotated)) return annotated;
  const [first] = containers;
  if (!first) throw new KubectlError(`pod ${pod.metadata.name} has no containers`);
  if (all.length > 1) tell(`Defaulted container "${first.name}" out of: ${containerList(pod)}\n`);
  return first.name;
}

function containerList({ spec }: Pod): string {
  const marked = (names: readonly { readonly name: string }[] | undefined, mark: string) =>
    (names ?? []).map(({ name }) => name + mark);
  return [
    ...marked(spec.containers, ''),
    ...marked(spec.initContainers, ' (init)'),
    ...marked(spec.ephemeralContainers, ' (ephem)'),
  ].join(', ');
}

function liveliness({ status, spec }: Pod): number {
  const isReady = status?.conditions?.some(
    ({ type, status: is }) => type === 'Ready' && is === 'True',
  );
  return (isReady ? 4 : 0) + (status?.phase === 'Running' ? 2 : 0) + (spec.nodeName ? 1 : 0);
}

/** The object that the path of a pod has led to. */
function decodePod(object: Live): Pod {
  const value: unknown = object;
  return value as Pod;
}

function decodeLabels(selector: Record<string, unknown>): Readonly<Record<string, string>> {
  return selector as Readonly<Record<string, string>>;
}
