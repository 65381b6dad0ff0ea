/** Why the node refuses a pod for good, before it begins with it: the pod's phase is then Failed. Pure. */

import type { Pod } from '../../api/generated/types.ts';
import { allContainers } from './records.ts';
import { appArmorProfileOf, type SecurityModules, securityModules } from './security-modules.ts';

interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** Namespaced sysctls that cannot harm other pods, so that any pod may set them. Source: kubelet's safe set. */
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
];

/** As the kubelet words it; undefined when the pod may run. */
export function refusedFor(
  pod: Pod,
  unsafeSysctls: readonly string[],
  modules = securityModules(),
): Refusal | undefined {
  return forbiddenSysctl(pod, unsafeSysctls) ?? appArmor(pod, modules);
}

function forbiddenSysctl({ spec }: Pod, allowed: readonly string[]): Refusal | undefined {
  for (const { name } of spec.securityContext?.sysctls ?? []) {
    const dotted = name.replaceAll('/', '.');
    const why = whyForbidden(dotted, spec, allowed);
    if (why) return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${dotted}" ${why}` };
  }
  return undefined;
}

function whyForbidden(
  name: string,
  { hostNetwork, hostIPC }: Pod['spec'],
  allowed: readonly string[],
): string | undefined {
  const isAllowed = allowed.some((one) =>
    one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one,
  );
  if (!isAllowed && !SAFE_SYSCTLS.includes(name)) return 'not allowlisted';
  if (name.startsWith('net.') && hostNetwork) return 'not allowed with host net enabled';
  if (name.startsWith('kernel.') && hostIPC) return 'not allowed with host ipc enabled';
  return undefined;
}

function appArmor(pod: Pod, modules: SecurityModules): Refusal | undefined {
  const profiles = allContainers(pod).map((container) => appArmorProfileOf(pod, container));
  const asked = profiles.filter((profile) => profile && profile.type !== 'Unconfined');
  const refuse = (why: string) => ({
    reason: 'AppArmor',
    message: `Cannot enforce AppArmor: ${why}`,
  });
  if (asked.length > 0 && !modules.hasAppArmor) {
    return refuse('AppArmor is not enabled on this node');
  }
  if (asked.some((profile) => profile?.type === 'RuntimeDefault')) {
    return refuse('this node has no default profile, load one and name it (type: Localhost)');
  }
  return undefined;
}
