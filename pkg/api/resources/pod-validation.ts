/** What a pod's spec must be, in a pod or in a template. Source: kubernetes pkg/apis/core/validation. */

import { type Causes, each, oneOf, required, requiredOneOf } from '../field-errors.ts';
import type { PodSpec } from '../generated/types.ts';
import type { ObjectMeta } from '../meta.ts';

/** Where a pod's spec stands, and what its kind asks of it. */
export interface PodSpecPlace {
  /** Path of the spec, e.g. 'spec.template.spec'. */
  readonly field: string;
  readonly metadata?: Partial<ObjectMeta>;
}

/** Everything that is wrong with a pod's spec. */
export function validatePodSpec(spec: PodSpec | undefined, { field }: PodSpecPlace): Causes {
  if (!spec) return [required(`${field}.containers`)];
  return [
    ...(spec.containers?.length ? [] : [required(`${field}.containers`)]),
    ...each(`${field}.containers`, spec.containers, ({ name }, path) =>
      name ? [] : [required(`${path}.name`)],
    ),
    ...requiredOneOf(`${field}.restartPolicy`, spec.restartPolicy, [
      'Always',
      'OnFailure',
      'Never',
    ]),
    ...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, [
      'ClusterFirstWithHostNet',
      'ClusterFirst',
      'Default',
      'None',
    ]),
  ];
}
