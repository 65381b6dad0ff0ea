/** What a container must be. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  each,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  requiredName,
  requiredOneOf,
  unique,
} from '../field-errors.ts';
import type { Container, ContainerPort, ContainerResizePolicy } from '../generated/types.ts';
import { dnsLabel, portName, portNumber } from '../names.ts';
import { envCauses, envFromCauses } from './env-validation.ts';
import { deviceCauses, type MountContext, mountCauses } from './mount-validation.ts';
import { lifecycleCauses, probeCauses } from './probe-validation.ts';
import { hugePageCauses, resourceCauses } from './quantity-validation.ts';
import { ruleCauses } from './restart-rule-validation.ts';
import { validateSecurity } from './security-validation.ts';

/** What a container's checks need to know of its pod. */
export interface ContainerContext extends MountContext {
  readonly isHostNetwork: boolean;
  /** Its users are those of the host: not with hostUsers: false. */
  readonly hasHostUsers: boolean;
  /** Of the pod; the last two undefined when it does not say. */
  readonly restartPolicy: string | undefined;
  readonly graceSeconds: number | undefined;
  readonly os: string | undefined;
  /** The pod as a whole asks for something. */
  readonly hasPodResources: boolean;
}

/** Everything that is wrong with one container. */
export function validateContainer(
  container: Container,
  path: string,
  context: ContainerContext,
): Causes {
  const { image, imagePullPolicy, terminationMessagePolicy, restartPolicy } = container;
  return [
    ...requiredName(`${path}.name`, container.name, dnsLabel),
    ...imageCauses(image, `${path}.image`),
    ...each(`${path}.ports`, container.ports, (port, at) => portCauses(port, at, context)),
    ...unique(
      container.ports,
      ({ name }) => name,
      (index) => `${path}.ports[${index}].name`,
    ),
    ...each(`${path}.env`, container.env, (one, at) => envCauses(one, at, context.volumes)),
    ...each(`${path}.envFrom`, container.envFrom, envFromCauses),
    ...mountCauses(container, `${path}.volumeMounts`, context),
    ...deviceCauses(container, `${path}.volumeDevices`, context),
    ...probeCauses(container.livenessProbe, `${path}.livenessProbe`, 'liveness'),
    ...probeCauses(container.readinessProbe, `${path}.readinessProbe`, 'readiness'),
    ...probeCauses(container.startupProbe, `${path}.startupProbe`, 'startup'),
    ...lifecycleCauses(container.lifecycle, `${path}.lifecycle`, context),
    ...resourceCauses(`${path}.resources`, container.resources),
    ...(context.hasPodResources ? [] : hugePageCauses(`${path}.resources`, container.resources)),
    ...resizeCauses(container.resizePolicy, `${path}.resizePolicy`, context),
    ...requiredOneOf(`${path}.imagePullPolicy`, imagePullPolicy, [
      'Always',
      'IfNotPresent',
      'Never',
    ]),
    ...requiredOneOf(`${path}.terminationMessagePolicy`, terminationMessagePolicy, [
      'FallbackToLogsOnError',
      'File',
    ]),
    ...oneOf(`${path}.restartPolicy`, restartPolicy, ['Always', 'Never', 'OnFailure']),
    ...ruleCauses(container, path),
    ...validateSecurity(container.securityContext, `${path}.securityContext`, context.hasHostUsers),
  ];
}

function imageCauses(image: string | undefined, path: string): Causes {
  if (!image) return [required(path)];
  return image.trim() === image
    ? []
    : [invalidValue(path, image, 'must not have leading or trailing whitespace')];
}

function portCauses(
  port: ContainerPort,
  path: string,
  { isHostNetwork }: ContainerContext,
): Causes {
  const { name, containerPort, hostPort, protocol } = port;
  const isOther = isHostNetwork && hostPort && hostPort !== containerPort;
  return [
    ...(name ? invalidEach(`${path}.name`, name, portName(name)) : []),
    ...(containerPort
      ? invalidEach(`${path}.containerPort`, containerPort, portNumber(containerPort))
      : [required(`${path}.containerPort`)]),
    ...(hostPort ? invalidEach(`${path}.hostPort`, hostPort, portNumber(hostPort)) : []),
    ...(isOther
      ? [
          invalidValue(
            `${path}.containerPort`,
            containerPort,
            'must match `hostPort` when `hostNetwork` is true',
          ),
        ]
      : []),
    ...requiredOneOf(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']),
  ];
}

function resizeCauses(
  policies: readonly ContainerResizePolicy[] | undefined,
  path: string,
  { restartPolicy: ofPod }: ContainerContext,
): Causes {
  const why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
  return [
    ...unique(
      policies,
      ({ resourceName }) => resourceName,
      (index) => `${path}[${index}]`,
    ),
    ...(policies ?? []).flatMap(({ resourceName, restartPolicy }) => [
      ...requiredOneOf(path, resourceName, ['cpu', 'memory']),
      ...requiredOneOf(path, restartPolicy, ['NotRequired', 'RestartContainer']),
      ...(ofPod === 'Never' && restartPolicy === 'RestartContainer'
        ? [invalidValue(path, restartPolicy, why)]
        : []),
    ]),
  ];
}
