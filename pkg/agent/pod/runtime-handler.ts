/** Which OCI runtime a pod's RuntimeClass asks for. */

import type { Pod, RuntimeClass } from '../../api/generated/types.ts';
import type { NodeContext } from '../node-context.ts';
import { runtimeClassOf } from './references-of.ts';

/** Undefined: the node's own. Rejects in the kubelet's words when the pod cannot have it here. */
export async function handlerOf(
  { references, handlers }: Pick<NodeContext, 'references' | 'handlers'>,
  pod: Pod,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [reference] = runtimeClassOf(pod);
  if (!reference) return undefined;
  const found = await references.get<RuntimeClass>(reference, signal);
  if (!found) throw new Error(`runtimeclass.node.k8s.io "${reference.ref.name}" not found`);
  const { handler } = found;
  const known = handlers.find(({ name }) => name === handler);
  if (pod.spec.hostUsers === false && known?.features.userNamespaces === false) {
    throw new Error(`RuntimeClass handler "${handler}" does not support user namespaces`);
  }
  return handler;
}
