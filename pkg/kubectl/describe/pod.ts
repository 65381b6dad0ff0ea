/** `kubectl describe pod`. */

import type { Pod } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import { containerLines } from './containers.ts';
import { eventLines } from './events.ts';
import { placementLines } from './template.ts';
import { annotationLines, labelLines, timeText } from './text.ts';
import { volumeLines } from './volumes.ts';

/** Describes a pod; not aligned yet. */
export async function describePod(api: Api, pod: Pod): Promise<string> {
  const { spec, status = {} } = pod;
  return [
    headLines(pod),
    containerLines({
      title: 'Init Containers',
      containers: spec.initContainers,
      statuses: status.initContainerStatuses ?? [],
      indent: '',
    }),
    containerLines({
      title: 'Containers',
      containers: spec.containers,
      statuses: status.containerStatuses ?? [],
      indent: '',
    }),
    conditionLines(pod),
    volumeLines(spec.volumes),
    status.qosClass ? `QoS Class:\t${status.qosClass}\n` : '',
    placementLines(spec, ''),
    await eventLines(api, pod),
  ].join('');
}

function headLines(pod: Pod): string {
  const { metadata, spec, status = {} } = pod;
  const optional = (title: string, value: string | undefined) =>
    value ? `${title}:\t${value}\n` : '';
  return [
    `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace ?? ''}\n`,
    `Priority:\t${spec.priority ?? 0}\n`,
    optional('Priority Class Name', spec.priorityClassName),
    optional('Runtime Class Name', spec.runtimeClassName),
    optional('Service Account', spec.serviceAccountName),
    `Node:\t${spec.nodeName ? `${spec.nodeName}/${status.hostIP ?? ''}` : '<none>'}\n`,
    optional('Start Time', status.startTime && timeText(status.startTime)),
    labelLines('Labels', metadata.labels),
    annotationLines(metadata.annotations),
    phaseLines(pod),
    optional('Reason', status.reason),
    optional('Message', status.message),
    addressLines(pod),
  ].join('');
}

function phaseLines({ metadata, status }: Pod): string {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
  if (!deletionTimestamp) return `Status:\t${status?.phase ?? ''}\n`;
  return `Status:\tTerminating (since ${timeText(deletionTimestamp)})\nTermination Grace Period:\t${deletionGracePeriodSeconds}s\n`;
}

function addressLines({ metadata, status = {} }: Pod): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const ips = (status.podIPs ?? []).map(({ ip }) => `  IP:\t${ip}\n`);
  return [
    `IP:\t${status.podIP ?? ''}\n`,
    ips.length > 0 ? `IPs:\n${ips.join('')}` : 'IPs:\t<none>\n',
    owner ? `Controlled By:\t${owner.kind}/${owner.name}\n` : '',
  ].join('');
}

function conditionLines({ status }: Pod): string {
  const { conditions = [] } = status ?? {};
  if (conditions.length === 0) return '';
  const rows = conditions.map(({ type, status: is }) => `  ${type} \t${is} \n`);
  return `Conditions:\n  Type\tStatus\n${rows.join('')}`;
}
