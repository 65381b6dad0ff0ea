/** What a container that is added to a running pod, for debugging, must be. */

import { type Causes, forbiddenField, notFoundValue } from '../field-errors.ts';
import type { EphemeralContainer } from '../generated/types.ts';
import { type ContainerContext, validateContainer } from './container-validation.ts';

/** What would change how the pod is scheduled or when it counts as ready. */
const NOT_ALLOWED = [
  'lifecycle',
  'livenessProbe',
  'ports',
  'readinessProbe',
  'resizePolicy',
  'restartPolicy',
  'startupProbe',
] as const;

export interface EphemeralContext extends ContainerContext {
  /** Names of the pod's other containers, of which one may be the target. */
  readonly containers: ReadonlySet<string>;
}

/** Everything that is wrong with one ephemeral container. */
export function validateEphemeral(
  container: EphemeralContainer,
  path: string,
  context: EphemeralContext,
): Causes {
  const { targetContainerName: target, resources } = container;
  const why = 'cannot be set for an Ephemeral Container';
  const given = NOT_ALLOWED.filter((field) => container[field] !== undefined);
  const hasResources = Object.keys(resources ?? {}).length > 0;
  return [
    ...given.map((field) => forbiddenField(`${path}.${field}`, why)),
    ...(hasResources ? [forbiddenField(`${path}.resources`, why)] : []),
    ...(target && !context.containers.has(target)
      ? [notFoundValue(`${path}.targetContainerName`, target)]
      : []),
    ...validateContainer(container, path, context),
  ];
}
