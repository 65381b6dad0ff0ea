/** `kubectl describe node`. */

import { ageOf } from '../../api/age.ts';
import type { Lease, Node, Pod } from '../../api/generated/types.ts';
import { addQuantities, bytes, cpuMilli } from '../../api/quantity.ts';
import type { Api } from '../api.ts';
import { unlessMissing } from '../problems.ts';
import { eventLines } from './events.ts';
import { annotationLines, labelLines, listLines, timeText } from './text.ts';

const ROLE = /^node-role\.kubernetes\.io\/(.+)$/;
const MAIN_RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];

type Quantities = Readonly<Record<string, string>>;

/** Describes a node; not aligned yet. */
export async function describeNode(api: Api, node: Node): Promise<string> {
  const { name } = node.metadata;
  const { items: pods } = await api.client.list<Pod>('pods', {
    fieldSelector: `spec.nodeName=${name},status.phase!=Succeeded,status.phase!=Failed`,
  });
  const ref = { namespace: 'kube-node-lease', name };
  const lease = await unlessMissing(api.client.get<Lease>('leases', ref));
  return [
    headLines(node),
    leaseLines(lease),
    conditionLines(node),
    statusLines(node),
    podLines(pods, node),
    totalLines(pods, node),
    await eventLines(api, node),
  ].join('');
}

function headLines({ metadata, spec }: Node): string {
  const roles = Object.keys(metadata.labels ?? {}).flatMap((key) => ROLE.exec(key)?.[1] ?? []);
  const taints = (spec.taints ?? []).map(
    ({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`,
  );
  return [
    `Name:\t${metadata.name}\nRoles:\t${roles.sort().join(',') || '<none>'}\n`,
    labelLines('Labels', metadata.labels),
    annotationLines(metadata.annotations),
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}\n`,
    listLines('Taints', taints),
    `Unschedulable:\t${spec.unschedulable ?? false}\n`,
  ].join('');
}

function leaseLines(lease: Lease | undefined): string {
  if (!lease) return 'Lease:\tFailed to get lease: it does not exist\n';
  const { holderIdentity, acquireTime, renewTime } = lease.spec ?? {};
  return `Lease:\n  HolderIdentity:\t${holderIdentity ?? '<unset>'}\n  AcquireTime:\t${timeText(acquireTime)}\n  RenewTime:\t${timeText(renewTime)}\n`;
}

function conditionLines({ status }: Node): string {
  const { conditions = [] } = status ?? {};
  if (conditions.length === 0) return '';
  const rows = conditions.map(({ type, status: is, reason = '', message = '', ...times }) => {
    const seen = timeText(times.lastHeartbeatTime);
    return `  ${type} \t${is} \t${seen} \t${timeText(times.lastTransitionTime)} \t${reason} \t${message}\n`;
  });
  const titles = ['Type', 'Status', 'LastHeartbeatTime', 'LastTransitionTime', 'Reason', 'Message'];
  return `Conditions:\n  ${titles.join('\t')}\n  ${titles.map((title) => '-'.repeat(title.length)).join('\t')}\n${rows.join('')}`;
}

function statusLines({ spec, status = {} }: Node): string {
  const { addresses = [], capacity, allocatable, nodeInfo } = status;
  return [
    `Addresses:\n${addresses.map(({ type, address }) => `  ${type}:\t${address}\n`).join('')}`,
    quantityLines('Capacity', capacity),
    quantityLines('Allocatable', allocatable),
    'System Info:\n',
    `  Machine ID:\t${nodeInfo?.machineID ?? ''}\n`,
    `  System UUID:\t${nodeInfo?.systemUUID ?? ''}\n`,
    `  Boot ID:\t${nodeInfo?.bootID ?? ''}\n`,
    `  Kernel Version:\t${nodeInfo?.kernelVersion ?? ''}\n`,
    `  OS Image:\t${nodeInfo?.osImage ?? ''}\n`,
    `  Operating System:\t${nodeInfo?.operatingSystem ?? ''}\n`,
    `  Architecture:\t${nodeInfo?.architecture ?? ''}\n`,
    `  Container Runtime Version:\t${nodeInfo?.containerRuntimeVersion ?? ''}\n`,
    `  Kubelet Version:\t${nodeInfo?.kubeletVersion ?? ''}\n`,
    `  Kube-Proxy Version:\t${nodeInfo?.kubeProxyVersion ?? ''}\n`,
    spec.podCIDR ? `PodCIDR:\t${spec.podCIDR}\n` : '',
    spec.podCIDRs?.length ? `PodCIDRs:\t${spec.podCIDRs.join(',')}\n` : '',
    spec.providerID ? `ProviderID:\t${spec.providerID}\n` : '',
  ].join('');
}

function quantityLines(title: string, quantities: Quantities | undefined): string {
  const entries = Object.entries(quantities ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0
    ? ''
    : `${title}:\n${entries.map(([name, value]) => `  ${name}:\t${value}\n`).join('')}`;
}

function podLines(pods: readonly Pod[], { status }: Node): string {
  const allocatable = status?.allocatable ?? {};
  const nowMs = Date.now();
  const titles = [
    'Namespace',
    'Name',
    '',
    'CPU Requests',
    'CPU Limits',
    'Memory Requests',
    'Memory Limits',
    'Age',
  ];
  const rows = pods.map(({ metadata, spec }) => {
    const share = (field: 'requests' | 'limits', resource: string) => {
      const values = spec.containers.flatMap(
        ({ resources }) => resources?.[field]?.[resource] ?? [],
      );
      return shareText(values, resource, allocatable);
    };
    const cells = [
      metadata.namespace ?? '',
      metadata.name,
      '',
      share('requests', 'cpu'),
      share('limits', 'cpu'),
      share('requests', 'memory'),
      share('limits', 'memory'),
      ageOf(metadata.creationTimestamp, nowMs),
    ];
    return `  ${cells.join('\t')}\n`;
  });
  const line = titles.map((title) => '-'.repeat(title.length)).join('\t');
  return `Non-terminated Pods:\t(${pods.length} in total)\n  ${titles.join('\t')}\n  ${line}\n${rows.join('')}`;
}

function totalLines(pods: readonly Pod[], { status }: Node): string {
  const allocatable = status?.allocatable ?? {};
  const names = [
    ...MAIN_RESOURCES,
    ...Object.keys(allocatable).filter((name) => !MAIN_RESOURCES.includes(name) && name !== 'pods'),
  ];
  const sum = (field: 'requests' | 'limits', resource: string) => {
    const values = pods.flatMap(({ spec }) =>
      spec.containers.flatMap(({ resources }) => resources?.[field]?.[resource] ?? []),
    );
    return shareText(values, resource, allocatable);
  };
  const rows = names.map((name) => `  ${name}\t${sum('requests', name)}\t${sum('limits', name)}\n`);
  return `Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits\n  --------\t--------\t------\n${rows.join('')}`;
}

/** `250m (12%)` of what pods may have of a resource. */
function shareText(values: readonly string[], resource: string, allocatable: Quantities): string {
  if (values.length === 0) return '0 (0%)';
  const total = addQuantities(...values);
  const amount = resource === 'cpu' ? cpuMilli : bytes;
  const most = amount(allocatable[resource]);
  const percent = most === 0 ? 0 : Math.trunc((amount(total) / most) * 100);
  return `${total} (${percent}%)`;
}
