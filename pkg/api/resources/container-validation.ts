/** What a container must be. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  each,
  invalidEach,
  invalidValue,
  notSupported,
  oneOf,
  required,
  requiredName,
  requiredOneOf,
  unique,
} from '../field-errors.ts';
import type { Container, ContainerPort, EnvFromSource, EnvVar } from '../generated/types.ts';
import { configKey, dnsLabel, dnsSubdomain, envName, portName, portNumber } from '../names.ts';
import { deviceCauses, type MountContext, mountCauses } from './mount-validation.ts';
import { lifecycleCauses, probeCauses } from './probe-validation.ts';
import { resourceCauses } from './quantity-validation.ts';
import { ruleCauses } from './restart-rule-validation.ts';
import { validateSecurity } from './security-validation.ts';

/** What a container's checks need to know of its pod. */
export interface ContainerContext extends MountContext {
  readonly isHostNetwork: boolean;
  /** Its users are those of the host: not with hostUsers: false. */
  readonly hasHostUsers: boolean;
}

const FIELD_PATHS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

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
    ...each(`${path}.env`, container.env, envCauses),
    ...each(`${path}.envFrom`, container.envFrom, envFromCauses),
    ...mountCauses(container.volumeMounts, `${path}.volumeMounts`, context),
    ...deviceCauses(container, `${path}.volumeDevices`, context),
    ...probeCauses(container.livenessProbe, `${path}.livenessProbe`, 'liveness'),
    ...probeCauses(container.readinessProbe, `${path}.readinessProbe`, 'readiness'),
    ...probeCauses(container.startupProbe, `${path}.startupProbe`, 'startup'),
    ...lifecycleCauses(container.lifecycle, `${path}.lifecycle`),
    ...resourceCauses(`${path}.resources`, container.resources),
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

function envCauses({ name, value, valueFrom }: EnvVar, path: string): Causes {
  const named = requiredName(`${path}.name`, name, envName);
  if (!valueFrom) return named;
  const at = `${path}.valueFrom`;
  const sources = Object.values(valueFrom).filter(
    (source) => source !== undefined && source !== null,
  );
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  return [
    ...named,
    ...(value ? [invalidValue(at, '', 'may not be specified when `value` is not empty')] : []),
    ...(sources.length === 1
      ? []
      : [
          invalidValue(
            at,
            '',
            sources.length === 0
              ? 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'
              : 'may not have more than one field specified at a time',
          ),
        ]),
    ...(fieldRef ? fieldRefCauses(fieldRef.fieldPath, `${at}.fieldRef.fieldPath`) : []),
    ...(resourceFieldRef
      ? resourceFieldCauses(resourceFieldRef.resource, `${at}.resourceFieldRef.resource`)
      : []),
    ...keyCauses(configMapKeyRef, `${at}.configMapKeyRef`),
    ...keyCauses(secretKeyRef, `${at}.secretKeyRef`),
  ];
}

function fieldRefCauses(fieldPath: string | undefined, path: string): Causes {
  if (!fieldPath) return [required(path)];
  if (/^metadata\.(?:annotations|labels)\['.+'\]$/.test(fieldPath)) return [];
  const known = FIELD_PATHS.filter(
    (name) => !name.endsWith('annotations') && !name.endsWith('labels'),
  );
  return FIELD_PATHS.includes(fieldPath) ? [] : [notSupported(path, fieldPath, known)];
}

function resourceFieldCauses(resource: string | undefined, path: string): Causes {
  if (!resource) return [required(path)];
  const isKnown = RESOURCES.includes(resource) || /^(?:limits|requests)\.hugepages-/.test(resource);
  return isKnown ? [] : [notSupported(path, resource, RESOURCES)];
}

function keyCauses(
  ref: { readonly name?: string; readonly key: string } | undefined,
  path: string,
): Causes {
  if (!ref) return [];
  return [
    ...(ref.name
      ? invalidEach(`${path}.name`, ref.name, dnsSubdomain(ref.name))
      : [required(`${path}.name`)]),
    ...requiredName(`${path}.key`, ref.key, configKey),
  ];
}

function envFromCauses({ prefix, configMapRef, secretRef }: EnvFromSource, path: string): Causes {
  const isOne = Boolean(configMapRef) !== Boolean(secretRef);
  return [
    ...(prefix ? invalidEach(`${path}.prefix`, prefix, envName(prefix)) : []),
    ...(isOne
      ? []
      : [invalidValue(path, '', 'must specify one of: `configMapRef` or `secretRef`')]),
    ...(configMapRef && !configMapRef.name ? [required(`${path}.configMapRef.name`)] : []),
    ...(secretRef && !secretRef.name ? [required(`${path}.secretRef.name`)] : []),
  ];
}
