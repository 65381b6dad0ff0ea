/** The scale subresource of what keeps a number of pods. */

import type { LabelSelector } from '../generated/types.ts';
import type { ApiObject } from '../meta.ts';
import type { ScalePaths } from '../resource.ts';
import { formatSelector, selectorOf } from '../selectors.ts';

interface Replicated extends ApiObject {
  readonly spec: { readonly replicas?: number; readonly selector?: LabelSelector };
  readonly status?: { readonly replicas?: number };
}

export function workloadScale<T extends Replicated>(): ScalePaths<T> {
  return {
    replicas: ({ spec }) => spec.replicas ?? 0,
    statusReplicas: ({ status }) => status?.replicas ?? 0,
    selector: ({ spec }) => formatSelector(selectorOf(spec.selector)),
    withReplicas: (object, replicas) => ({ ...object, spec: { ...object.spec, replicas } }),
  };
}
