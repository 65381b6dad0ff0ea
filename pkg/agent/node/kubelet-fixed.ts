/** Settings of the kubelet that mini does not let one choose: taken when they ask for what is so anyway, else refused. */

import { KubeletArgError } from './kubelet-values.ts';

/** What is in force, in the kubelet's words. */
const FIXED: Readonly<Record<string, string>> = {
  'anonymous-auth': 'false',
  'cgroup-driver': 'cgroupfs',
  'cgroups-per-qos': 'true',
  'cloud-provider': '',
  'cpu-cfs-quota': 'true',
  'cpu-cfs-quota-period': '100ms',
  'cpu-manager-policy': 'none',
  'enable-controller-attach-detach': 'true',
  'enable-debugging-handlers': 'true',
  'enable-server': 'true',
  'fail-swap-on': 'false',
  'memory-manager-policy': 'None',
  'protect-kernel-defaults': 'false',
  'read-only-port': '0',
  'rotate-certificates': 'true',
  'topology-manager-policy': 'none',
  'topology-manager-scope': 'container',
};

/** Settings that are flags of mini's own. */
const FLAGS: Readonly<Record<string, string>> = {
  'cgroup-root': '--cgroup-root',
  config: '--config, which takes names of mini',
  'hostname-override': '--node-name',
  'node-ip': '--node-ip',
  'node-labels': '--node-label',
  'pod-manifest-path': '--pod-manifest-path',
  'register-with-taints': '--node-taint',
  'root-dir': '--data-dir',
  'shutdown-grace-period': '--shutdown-grace-period',
  'shutdown-grace-period-critical-pods': '--shutdown-grace-period-critical-pods',
  v: '--log-level',
};

/** Throws a KubeletArgError unless the setting asks for what is so anyway. */
export function checkFixed(
  { name, value }: { readonly name: string; readonly value: string },
  known: readonly string[],
): void {
  const flag = FLAGS[name];
  if (flag !== undefined)
    throw new KubeletArgError(`${name} is a flag of its own in mini: give ${flag} instead`);
  const fixed = FIXED[name];
  if (fixed === value) return;
  if (fixed !== undefined)
    throw new KubeletArgError(
      `${name}: it is ${fixed === '' ? 'empty' : fixed} in mini and cannot be changed`,
    );
  throw new KubeletArgError(
    `mini has no setting ${name} of the kubelet; it has ${known.join(', ')}`,
  );
}
