/** AppArmor and SELinux: whether the node's kernel has them, and what a container of a pod asks of them. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AppArmorProfile, Container, Pod } from '../../api/generated/types.ts';
import type { Security } from '../../engine/engine.ts';

export interface SecurityModules {
  readonly hasAppArmor: boolean;
  readonly hasSeLinux: boolean;
}

const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';
const LOCALHOST = 'localhost/';
/** What an SELinux policy for containers calls a container's processes and files; level: all containers. */
const SELINUX_DEFAULT = {
  user: 'system_u',
  role: 'system_r',
  type: 'container_t',
  level: 's0',
};
const SELINUX_FILES = 'system_u:object_r:container_file_t';

/** Of this host; sys: where sysfs is mounted. */
export function securityModules(sys = '/sys'): SecurityModules {
  const parameter = join(sys, 'module/apparmor/parameters/enabled');
  return {
    hasAppArmor: existsSync(parameter) && readFileSync(parameter, 'utf8').startsWith('Y'),
    hasSeLinux: existsSync(join(sys, 'fs/selinux/enforce')),
  };
}

/** The profile that the container is to have: its own, the one of the beta's annotation, or the pod's. */
export function appArmorProfileOf(pod: Pod, container: Container): AppArmorProfile | undefined {
  const annotation = pod.metadata.annotations?.[`${APPARMOR_ANNOTATION}${container.name}`];
  return (
    container.securityContext?.appArmorProfile ??
    (annotation === undefined ? undefined : profileOf(annotation)) ??
    pod.spec.securityContext?.appArmorProfile
  );
}

function profileOf(annotation: string): AppArmorProfile {
  if (annotation === 'unconfined') return { type: 'Unconfined' };
  if (!annotation.startsWith(LOCALHOST)) return { type: 'RuntimeDefault' };
  return { type: 'Localhost', localhostProfile: annotation.slice(LOCALHOST.length) };
}

/** The part of the engine's Security that names profile and labels. A privileged container has no profile. */
export function labelsOf(
  pod: Pod,
  container: Container,
): Pick<Security, 'appArmorProfile' | 'seLinux'> {
  const profile = appArmorProfileOf(pod, container);
  const options =
    container.securityContext?.seLinuxOptions ?? pod.spec.securityContext?.seLinuxOptions ?? {};
  const isNamed = profile?.type === 'Localhost' && profile.localhostProfile !== undefined;
  return {
    ...(isNamed && container.securityContext?.privileged !== true
      ? { appArmorProfile: profile.localhostProfile }
      : {}),
    ...(Object.keys(options).length > 0 ? { seLinux: seLinuxOf(options) } : {}),
  };
}

function seLinuxOf(options: Partial<typeof SELINUX_DEFAULT>): NonNullable<Security['seLinux']> {
  const { user, role, type, level } = { ...SELINUX_DEFAULT, ...options };
  return { process: `${user}:${role}:${type}:${level}`, mount: `${SELINUX_FILES}:${level}` };
}
