/** What a pod may not ask for on the system that it names. Source: kubernetes pkg/apis/core/validation. */

import { type Causes, forbiddenField, requiredOneOf } from '../field-errors.ts';
import type { PodSecurityContext, PodSpec, SecurityContext } from '../generated/types.ts';

const LINUX_ALONE: readonly (keyof PodSpec)[] = [
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'hostUsers',
  'resources',
  'shareProcessNamespace',
];
const LINUX_ALONE_POD: readonly (keyof PodSecurityContext)[] = [
  'appArmorProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'runAsGroup',
  'runAsUser',
  'seLinuxChangePolicy',
  'seLinuxOptions',
  'seccompProfile',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'sysctls',
];
const LINUX_ALONE_CONTAINER: readonly (keyof SecurityContext)[] = [
  'allowPrivilegeEscalation',
  'appArmorProfile',
  'capabilities',
  'privileged',
  'procMount',
  'readOnlyRootFilesystem',
  'runAsGroup',
  'runAsUser',
  'seLinuxOptions',
  'seccompProfile',
];

/** Everything that is wrong with the system, and with what the other one alone has. */
export function osCauses(spec: PodSpec, field: string): Causes {
  if (!spec.os) return [];
  const { name } = spec.os;
  const wrong = requiredOneOf(`${field}.os.name`, name, ['linux', 'windows']);
  if (wrong.length > 0) return wrong;
  const isLinux = name === 'linux';
  return [
    ...(isLinux ? [] : set(spec, LINUX_ALONE, field, WINDOWS)),
    ...set(
      spec.securityContext,
      isLinux ? ['windowsOptions'] : LINUX_ALONE_POD,
      `${field}.securityContext`,
      isLinux ? LINUX : WINDOWS,
    ),
    ...(['containers', 'initContainers'] as const).flatMap((list) =>
      (spec[list] ?? []).flatMap(({ securityContext }, index) =>
        set(
          securityContext,
          isLinux ? ['windowsOptions'] : LINUX_ALONE_CONTAINER,
          `${field}.${list}[${index}].securityContext`,
          isLinux ? LINUX : WINDOWS,
        ),
      ),
    ),
  ];
}

const LINUX = 'windows options cannot be set for a linux pod';
const WINDOWS = 'cannot be set for a windows pod';

function set<T extends object>(
  part: T | undefined,
  names: readonly (keyof T & string)[],
  path: string,
  why: string,
): Causes {
  return names
    .filter((name) => part?.[name] !== undefined)
    .map((name) => forbiddenField(`${path}.${name}`, why));
}
