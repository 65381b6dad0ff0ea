/** Pod templates inside other objects. */

import { type Causes, required } from '../field-errors.ts';
import type { PodTemplateSpec } from '../generated/types.ts';
import { validateAnnotations, validateLabels } from '../meta-validation.ts';
import { validatePodSpec } from './pod-validation.ts';

/** Everything that is wrong with a pod template but the restart policy that its owner asks for. */
export function validateTemplate(template: PodTemplateSpec | undefined, field: string): Causes {
  if (!template) return [required(field)];
  return [
    ...validateLabels(`${field}.labels`, template.metadata?.labels),
    ...validateAnnotations(`${field}.annotations`, template.metadata?.annotations),
    ...validatePodSpec(template.spec, {
      field: `${field}.spec`,
      metadata: template.metadata ?? {},
    }),
  ];
}
