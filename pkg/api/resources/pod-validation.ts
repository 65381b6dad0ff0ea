/** What a pod's spec must be, in a pod or in a template. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  duplicate,
  each,
  forbiddenField,
  invalidEach,
  invalidValue,
  notNegative,
  oneOf,
  required,
  requiredName,
  requiredOneOf,
} from '../field-errors.ts';
import type { Container, PodSpec } from '../generated/types.ts';
import type { ObjectMeta } from '../meta.ts';
import { validateLabels } from '../meta-validation.ts';
import { dnsSubdomain, qualifiedName } from '../names.ts';
import { type ContainerContext, validateContainer } from './container-validation.ts';
import { validateEphemeral } from './ephemeral-validation.ts';
import { dnsCauses, hostNameCauses } from './host-name-validation.ts';
import { osCauses } from './os-validation.ts';
import { affinityCauses, spreadCauses, tolerationCauses } from './placement-validation.ts';
import { podResourceCauses } from './pod-resource-validation.ts';
import { validatePodSecurity } from './security-validation.ts';
import { validateVolume } from './volume-validation.ts';

const DEADLINE_MAX = 2 ** 31 - 1;

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
    ...each(`${field}.volumes`, spec.volumes, validateVolume),
    ...uniqueNames(`${field}.volumes`, spec.volumes),
    ...containerCauses(spec, field),
    ...requiredOneOf(`${field}.restartPolicy`, spec.restartPolicy, [
      'Always',
      'Never',
      'OnFailure',
    ]),
    ...hostNameCauses(spec, field),
    ...dnsCauses(spec, field),
    ...podResourceCauses(spec, field),
    ...osCauses(spec, field),
    ...identityCauses(spec, field),
    ...validateLabels(`${field}.nodeSelector`, spec.nodeSelector),
    ...each(`${field}.tolerations`, spec.tolerations, tolerationCauses),
    ...affinityCauses(spec.affinity, `${field}.affinity`),
    ...each(`${field}.topologySpreadConstraints`, spec.topologySpreadConstraints, spreadCauses),
    ...timeCauses(spec, field),
    ...hostCauses(spec, field),
  ];
}

function uniqueNames(
  field: string,
  list: readonly { readonly name: string }[] | undefined,
): Causes {
  const seen = new Set<string>();
  return (list ?? []).flatMap(({ name }, index) => {
    if (!name || !seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [duplicate(`${field}[${index}].name`, name)];
  });
}

function containerCauses(spec: PodSpec, field: string): Causes {
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const context: ContainerContext = {
    volumes,
    isHostNetwork: spec.hostNetwork ?? false,
    hasHostUsers: spec.hostUsers !== false,
    restartPolicy: spec.restartPolicy,
    graceSeconds: spec.terminationGracePeriodSeconds,
    os: spec.os?.name,
    hasPodResources: spec.resources !== undefined,
  };
  const inits = spec.initContainers ?? [];
  return [
    ...(spec.containers?.length ? [] : [required(`${field}.containers`)]),
    ...each(`${field}.containers`, spec.containers, (container, path) => [
      ...validateContainer(container, path, context),
      ...ruleCauses(container, path, false),
    ]),
    ...uniqueNames(`${field}.containers`, spec.containers),
    ...each(`${field}.initContainers`, inits, (container, path) => [
      ...validateContainer(container, path, context),
      ...ruleCauses(container, path, true),
    ]),
    ...each(`${field}.ephemeralContainers`, spec.ephemeralContainers, (container, path) =>
      validateEphemeral(container, path, { ...context, containers: namesOf(spec) }),
    ),
    ...namesTaken(spec, field),
    ...hostPortCauses(spec.containers ?? [], `${field}.containers`),
  ];
}

function namesOf({ containers = [], initContainers = [] }: PodSpec): ReadonlySet<string> {
  return new Set([...containers, ...initContainers].map(({ name }) => name));
}

/** What a container that has to end may not have. */
function ruleCauses(container: Container, path: string, isInit: boolean): Causes {
  if (!isInit || container.restartPolicy === 'Always') return [];
  const why = 'may not be set for init containers without restartPolicy=Always';
  return (['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap(
    (name) => (container[name] ? [forbiddenField(`${path}.${name}`, why)] : []),
  );
}

/** Names are one set over all containers of a pod. */
function namesTaken(spec: PodSpec, field: string): Causes {
  const seen = new Set((spec.containers ?? []).map(({ name }) => name));
  const check = (list: 'initContainers' | 'ephemeralContainers'): Causes =>
    (spec[list] ?? []).flatMap(({ name }, index) => {
      if (name && seen.has(name)) return [duplicate(`${field}.${list}[${index}].name`, name)];
      seen.add(name);
      return [];
    });
  return [...check('initContainers'), ...check('ephemeralContainers')];
}

function hostPortCauses(containers: readonly Container[], field: string): Causes {
  const seen = new Set<string>();
  return containers.flatMap(({ ports = [] }, at) =>
    ports.flatMap(({ hostPort, protocol, hostIP = '' }, index) => {
      if (!hostPort) return [];
      const key = `${protocol}/${hostIP}/${hostPort}`;
      if (seen.has(key)) return [duplicate(`${field}[${at}].ports[${index}].hostPort`, key)];
      seen.add(key);
      return [];
    }),
  );
}

function identityCauses(spec: PodSpec, field: string): Causes {
  const named = (
    name: 'nodeName' | 'serviceAccountName' | 'priorityClassName' | 'runtimeClassName',
  ): Causes => {
    const value = spec[name];
    return value ? invalidEach(`${field}.${name}`, value, dnsSubdomain(value)) : [];
  };
  return [
    ...named('serviceAccountName'),
    ...named('nodeName'),
    ...named('priorityClassName'),
    ...named('runtimeClassName'),
    ...requiredName(`${field}.schedulerName`, spec.schedulerName, () => []),
    ...oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['Never', 'PreemptLowerPriority']),
    ...each(`${field}.readinessGates`, spec.readinessGates, ({ conditionType }, path) =>
      invalidEach(`${path}.conditionType`, conditionType, qualifiedName(conditionType)),
    ),
    ...each(`${field}.schedulingGates`, spec.schedulingGates, ({ name }, path) =>
      requiredName(path, name, qualifiedName),
    ),
    ...(spec.nodeName && spec.schedulingGates?.length
      ? [
          forbiddenField(
            `${field}.nodeName`,
            'cannot be set until all schedulingGates have been cleared',
          ),
        ]
      : []),
  ];
}

function timeCauses(spec: PodSpec, field: string): Causes {
  const deadline = spec.activeDeadlineSeconds;
  const isInRange = deadline === undefined || (deadline >= 1 && deadline <= DEADLINE_MAX);
  const why = `must be between 1 and ${DEADLINE_MAX}, inclusive`;
  return [
    ...(isInRange ? [] : [invalidValue(`${field}.activeDeadlineSeconds`, deadline, why)]),
    ...notNegative(`${field}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds),
  ];
}

function hostCauses(spec: PodSpec, field: string): Causes {
  const { shareProcessNamespace, hostPID, hostUsers } = spec;
  const isShared = shareProcessNamespace && hostPID;
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name]);
  const context = `${field}.securityContext`;
  return [
    ...(isShared
      ? [
          invalidValue(
            `${context}.shareProcessNamespace`,
            true,
            'ShareProcessNamespace and HostPID cannot both be enabled',
          ),
        ]
      : []),
    ...(hostUsers === false
      ? shared.map((name) => forbiddenField(`${context}.${name}`, 'when `hostUsers` is false'))
      : []),
    ...sysctlCauses(spec, `${context}.sysctls`),
    ...validatePodSecurity(spec.securityContext, context),
  ];
}

/** What would be the host's is not for the pod to set. */
function sysctlCauses({ securityContext, hostNetwork, hostIPC }: PodSpec, field: string): Causes {
  return each(field, securityContext?.sysctls, ({ name = '' }, path) => {
    const dotted = name.replaceAll('/', '.');
    const owner =
      hostNetwork && dotted.startsWith('net.')
        ? 'hostNetwork'
        : hostIPC && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(dotted)
          ? 'hostIPC'
          : undefined;
    const why = `may not be specified when '${owner}' is true`;
    return owner ? [invalidValue(`${path}.name`, name, why)] : [];
  });
}
