/** The ports of the host that a pod's containers ask for. */

import type { Pod } from '../../api/generated/types.ts';
import type { HostPort } from '../../network/rules.ts';
import { allContainers } from './records.ts';

/** None for a pod on the host's network: its ports are the host's already. Each port once. */
export function hostPortsOf(pod: Pod): readonly HostPort[] {
  if (pod.spec.hostNetwork) return [];
  const found = allContainers(pod).flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, containerPort, protocol = 'TCP' }) =>
      hostPort
        ? [
            {
              protocol: protocol as HostPort['protocol'],
              ...(hostIP ? { hostIp: hostIP } : {}),
              hostPort,
              port: containerPort,
            },
          ]
        : [],
    ),
  );
  return [...new Map(found.map((port) => [JSON.stringify(port), port])).values()];
}
