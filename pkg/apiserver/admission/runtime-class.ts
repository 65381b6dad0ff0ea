/** A pod gets the overhead, node selector and tolerations of its RuntimeClass, and nothing that contradicts them. */

import { forbidden } from '../../api/errors.ts';
import type { Pod, RuntimeClass } from '../../api/generated/types.ts';
import { compareQuantities } from '../../api/quantity.ts';
import { mergeTolerations } from '../../api/tolerations.ts';
import type { Admission } from '../contract.ts';
import { createdPod, shownName } from './subject.ts';

type Quantities = Readonly<Record<string, string | number>>;

export const runtimeClass: Admission = {
  name: 'RuntimeClass',
  admit(request) {
    const pod = createdPod(request);
    if (!pod) return request.object;
    const refuse = (why: string) =>
      forbidden({ plural: 'pods', group: '' }, shownName(request), why);
    const { runtimeClassName: name } = pod.spec;
    const found = name ? request.registry.get<RuntimeClass>('runtimeclasses', { name }) : undefined;
    if (name && !found) throw refuse(`pod rejected: RuntimeClass "${name}" not found`);
    const why = contradiction(pod, found);
    if (why) throw refuse(why);
    return found ? withClass(pod, found) : pod;
  },
};

/** In upstream's words; undefined when there is none. */
function contradiction({ spec }: Pod, found: RuntimeClass | undefined): string | undefined {
  if (!found?.overhead) {
    return spec.overhead
      ? 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'
      : selectorConflict(spec.nodeSelector, found?.scheduling?.nodeSelector);
  }
  if (spec.overhead && !areEqual(spec.overhead, found.overhead.podFixed ?? {}))
    return "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
  return selectorConflict(spec.nodeSelector, found.scheduling?.nodeSelector);
}

function areEqual(a: Quantities, b: Quantities): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => {
      const [one, other] = [a[name], b[name]];
      return one !== undefined && other !== undefined && compareQuantities(one, other) === 0;
    })
  );
}

function selectorConflict(
  own: Readonly<Record<string, string>> = {},
  wanted: Readonly<Record<string, string>> = {},
): string | undefined {
  for (const [key, value] of Object.entries(wanted)) {
    const mine = own[key];
    if (mine !== undefined && mine !== value)
      return `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${mine}`;
  }
  return undefined;
}

function withClass(pod: Pod, { overhead, scheduling }: RuntimeClass): Pod {
  const { spec } = pod;
  const { nodeSelector, tolerations = [] } = scheduling ?? {};
  const merged = mergeTolerations(spec.tolerations ?? [], tolerations);
  return {
    ...pod,
    spec: {
      ...spec,
      ...(overhead?.podFixed ? { overhead: overhead.podFixed } : {}),
      ...(nodeSelector ? { nodeSelector: { ...spec.nodeSelector, ...nodeSelector } } : {}),
      ...(scheduling && merged.length > 0 ? { tolerations: merged } : {}),
    },
  };
}
