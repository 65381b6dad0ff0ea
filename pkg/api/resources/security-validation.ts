/** What the security contexts of pods and containers must be. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  duplicate,
  each,
  invalidValue,
  notSupported,
  oneOf,
  required,
  tooLong,
} from '../field-errors.ts';
import type {
  AppArmorProfile,
  PodSecurityContext,
  SeccompProfile,
  SecurityContext,
  Sysctl,
} from '../generated/types.ts';

/** Of users and groups. */
const ID_MAX = 2 ** 31 - 1;
const SYSCTL_MAX_CHARACTERS = 253;
const SYSCTL_SEGMENT = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const SYSCTL_FORMAT = `^(${SYSCTL_SEGMENT}[\\./])*${SYSCTL_SEGMENT}$`;
const SYSCTL = new RegExp(SYSCTL_FORMAT);
const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
/** The longest name of a profile, in bytes. */
const APP_ARMOR_NAME_MAX = 4095;

/** Everything that is wrong with the security context of a pod. */
export function validatePodSecurity(context: PodSecurityContext | undefined, path: string): Causes {
  if (!context) return [];
  return [
    ...sysctlCauses(context.sysctls ?? [], `${path}.sysctls`),
    ...idCauses(context.runAsUser, `${path}.runAsUser`),
    ...idCauses(context.runAsGroup, `${path}.runAsGroup`),
    ...idCauses(context.fsGroup, `${path}.fsGroup`),
    ...each(`${path}.supplementalGroups`, context.supplementalGroups, idCauses),
    ...oneOf(`${path}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, [
      'Merge',
      'Strict',
    ]),
    ...oneOf(`${path}.fsGroupChangePolicy`, context.fsGroupChangePolicy, [
      'Always',
      'OnRootMismatch',
    ]),
    ...seccompCauses(context.seccompProfile, `${path}.seccompProfile`),
    ...appArmorCauses(context.appArmorProfile, `${path}.appArmorProfile`),
  ];
}

/** Everything that is wrong with the security context of a container; `hostUsers` is its pod's. */
export function validateSecurity(
  context: SecurityContext | undefined,
  path: string,
  hostUsers: boolean,
): Causes {
  if (!context) return [];
  const { procMount } = context;
  const why = '`hostUsers` must be false to use `Unmasked`';
  return [
    ...idCauses(context.runAsUser, `${path}.runAsUser`),
    ...idCauses(context.runAsGroup, `${path}.runAsGroup`),
    ...oneOf(`${path}.procMount`, procMount, ['Default', 'Unmasked']),
    ...(hostUsers && procMount === 'Unmasked'
      ? [invalidValue(`${path}.procMount`, procMount, why)]
      : []),
    ...seccompCauses(context.seccompProfile, `${path}.seccompProfile`),
    ...appArmorCauses(context.appArmorProfile, `${path}.appArmorProfile`),
    ...escalationCauses(context, `${path}.allowPrivilegeEscalation`),
  ];
}

function escalationCauses(context: SecurityContext, path: string): Causes {
  const { allowPrivilegeEscalation, privileged, capabilities } = context;
  if (allowPrivilegeEscalation !== false) return [];
  const cannot = 'cannot set `allowPrivilegeEscalation` to false and';
  return [
    ...(privileged ? [invalidValue(path, false, `${cannot} \`privileged\` to true`)] : []),
    ...(capabilities?.add?.includes('CAP_SYS_ADMIN')
      ? [invalidValue(path, false, `${cannot} \`capabilities.Add\` CAP_SYS_ADMIN`)]
      : []),
  ];
}

function idCauses(id: number | undefined, path: string): Causes {
  if (id === undefined || (id >= 0 && id <= ID_MAX)) return [];
  return [invalidValue(path, id, `must be between 0 and ${ID_MAX}, inclusive`)];
}

function sysctlCauses(sysctls: readonly Sysctl[], path: string): Causes {
  const seen = new Set<string>();
  const why = `must have at most ${SYSCTL_MAX_CHARACTERS} characters and match regex ${SYSCTL_FORMAT}`;
  return sysctls.flatMap(({ name }, index): Causes => {
    const at = `${path}[${index}].name`;
    if (!name) return [required(at)];
    const isKnown = seen.has(name);
    seen.add(name);
    if (name.length > SYSCTL_MAX_CHARACTERS || !SYSCTL.test(name))
      return [invalidValue(at, name, why)];
    return isKnown ? [duplicate(at, name)] : [];
  });
}

function seccompCauses(profile: SeccompProfile | undefined, path: string): Causes {
  if (!profile) return [];
  const { type, localhostProfile: file } = profile;
  if (!type) return [required(path, 'type is required when seccompProfile is set')];
  if (!PROFILE_TYPES.includes(type)) return [notSupported(`${path}.type`, type, PROFILE_TYPES)];
  const at = `${path}.localhostProfile`;
  if (type !== 'Localhost')
    return file === undefined
      ? []
      : [invalidValue(at, file, 'can only be set when seccomp type is Localhost')];
  if (!file) return [required(at, 'must be set when seccomp type is Localhost')];
  if (file.startsWith('/')) return [invalidValue(at, file, 'must be a relative path')];
  return file.split('/').includes('..') ? [invalidValue(at, file, "must not contain '..'")] : [];
}

function appArmorCauses(profile: AppArmorProfile | undefined, path: string): Causes {
  if (!profile) return [];
  const { type, localhostProfile: name } = profile;
  if (!type) return [required(`${path}.type`, 'type is required when appArmorProfile is set')];
  const at = `${path}.localhostProfile`;
  if (type !== 'Localhost') {
    const why = 'can only be set when AppArmor type is Localhost';
    const unknown = oneOf(`${path}.type`, type, PROFILE_TYPES);
    return [...unknown, ...(name === undefined ? [] : [invalidValue(at, name, why)])];
  }
  if (!name) return [required(at, 'must be set when AppArmor type is Localhost')];
  if (name.trim() !== name) return [invalidValue(at, name, 'must not be padded with whitespace')];
  return name.length > APP_ARMOR_NAME_MAX ? [tooLong(at, APP_ARMOR_NAME_MAX)] : [];
}
