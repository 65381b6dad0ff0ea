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
import { dnsLabel, dnsSubdomain, qualifiedName } from '../names.ts';
import { type ContainerContext, validateContainer } from './container-validation.ts';
import { validateEphemeral } from './ephemeral-validation.ts';
import { affinityCauses, spreadCauses, tolerationCauses } from './placement-validation.ts';
import { validatePodSecurity } from './security-validation.ts';
import { ipCauses } from './service-validation.ts';
import { validateVolume } from './volume-validation.ts';

const DEADLINE_MAX = 2 ** 31 - 1;
const DNS_POLICIES = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const DNS_SERVERS_MAX = 3;

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
    ...dnsCauses(spec, field),
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

function dnsCauses({ dnsPolicy, dnsConfig }: PodSpec, field: string): Causes {
  const path = `${field}.dnsConfig`;
  const servers = dnsConfig?.nameservers ?? [];
  const isNone = dnsPolicy === 'None';
  return [
    ...requiredOneOf(`${field}.dnsPolicy`, dnsPolicy, DNS_POLICIES),
    ...(isNone && !dnsConfig
      ? [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')]
      : []),
    ...(isNone && dnsConfig && servers.length === 0
      ? [
          required(
            `${path}.nameservers`,
            'must provide at least one DNS nameserver when `dnsPolicy` is None',
          ),
        ]
      : []),
    ...(servers.length > DNS_SERVERS_MAX
      ? [
          invalidValue(
            `${path}.nameservers`,
            servers,
            `must not have more than ${DNS_SERVERS_MAX} nameservers`,
          ),
        ]
      : []),
    ...each(`${path}.nameservers`, servers, (server, at) => ipCauses(at, server)),
    ...each(`${path}.options`, dnsConfig?.options, ({ name }, at) =>
      name ? [] : [required(at, 'must not be empty')],
    ),
  ];
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
    ...(spec.hostname
      ? invalidEach(`${field}.hostname`, spec.hostname, dnsLabel(spec.hostname))
      : []),
    ...(spec.subdomain
      ? invalidEach(`${field}.subdomain`, spec.subdomain, dnsLabel(spec.subdomain))
      : []),
    ...requiredName(`${field}.schedulerName`, spec.schedulerName, () => []),
    ...oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['Never', 'PreemptLowerPriority']),
    ...(spec.os ? requiredOneOf(`${field}.os.name`, spec.os.name, ['linux', 'windows']) : []),
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
    ...each(`${field}.hostAliases`, spec.hostAliases, ({ ip, hostnames }, path) => [
      ...ipCauses(`${path}.ip`, ip),
      ...each(`${path}.hostnames`, hostnames, (name, at) =>
        invalidEach(at, name, dnsSubdomain(name)),
      ),
    ]),
    ...validatePodSecurity(spec.securityContext, context),
  ];
}
