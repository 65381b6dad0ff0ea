/** `kubectl describe deployment` and `replicaset`. */

import type { Deployment, Pod, ReplicaSet } from '../../api/generated/types.ts';
import { formatSelector, selectorOf, showSelector } from '../../api/selectors.ts';
import type { Api } from '../api.ts';
import { eventLines } from './events.ts';
import { templateLines } from './template.ts';
import { annotationLines, labelLines, timeText } from './text.ts';

const REVISION = 'deployment.kubernetes.io/revision';

/** Describes a deployment; not aligned yet. */
export async function describeDeployment(api: Api, deployment: Deployment): Promise<string> {
  const { metadata, spec, status = {} } = deployment;
  const {
    replicas = 0,
    updatedReplicas = 0,
    availableReplicas = 0,
    unavailableReplicas = 0,
  } = status;
  const { type = '', rollingUpdate } = spec.strategy ?? {};
  return [
    `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace ?? ''}\n`,
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}\n`,
    labelLines('Labels', metadata.labels),
    annotationLines(metadata.annotations),
    `Selector:\t${showSelector(spec.selector)}\n`,
    `Replicas:\t${spec.replicas ?? 0} desired | ${updatedReplicas} updated | ${replicas} total | ${availableReplicas} available | ${unavailableReplicas} unavailable\n`,
    `StrategyType:\t${type}\nMinReadySeconds:\t${spec.minReadySeconds ?? 0}\n`,
    rollingUpdate
      ? `RollingUpdateStrategy:\t${rollingUpdate.maxUnavailable} max unavailable, ${rollingUpdate.maxSurge} max surge\n`
      : '',
    templateLines(spec.template),
    conditionLines(deployment),
    await setLines(api, deployment),
    await eventLines(api, deployment),
  ].join('');
}

/** Describes a replica set; not aligned yet. */
export async function describeReplicaSet(api: Api, set: ReplicaSet): Promise<string> {
  const { metadata, spec, status } = set;
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const { items } = await api.client.list<Pod>('pods', {
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    labelSelector: formatSelector(selectorOf(spec.selector)),
  });
  const own = items.filter((pod) =>
    pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid),
  );
  const count = (phase: string) => own.filter((pod) => pod.status?.phase === phase).length;
  return [
    `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace ?? ''}\n`,
    `Selector:\t${showSelector(spec.selector)}\n`,
    labelLines('Labels', metadata.labels),
    annotationLines(metadata.annotations),
    owner ? `Controlled By:\t${owner.kind}/${owner.name}\n` : '',
    `Replicas:\t${status?.replicas ?? 0} current / ${spec.replicas ?? 0} desired\n`,
    `Pods Status:\t${count('Running')} Running / ${count('Pending')} Waiting / ${count('Succeeded')} Succeeded / ${count('Failed')} Failed\n`,
    spec.template ? templateLines(spec.template) : '',
    await eventLines(api, set),
  ].join('');
}

function conditionLines({ status }: Deployment): string {
  const { conditions = [] } = status ?? {};
  if (conditions.length === 0) return '';
  const rows = conditions.map(
    ({ type, status: is, reason }) => `  ${type} \t${is}\t${reason ?? ''}\n`,
  );
  return `Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n${rows.join('')}`;
}

async function setLines(api: Api, { metadata, spec }: Deployment): Promise<string> {
  const { items } = await api.client.list<ReplicaSet>('replicasets', {
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    labelSelector: formatSelector(selectorOf(spec.selector)),
  });
  const own = items.filter((set) =>
    set.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid),
  );
  const current = metadata.annotations?.[REVISION];
  const isNew = (set: ReplicaSet) => set.metadata.annotations?.[REVISION] === current;
  const text = (sets: readonly ReplicaSet[]) =>
    sets
      .map(
        ({ metadata: { name }, spec: { replicas = 0 }, status }) =>
          `${name} (${status?.replicas ?? 0}/${replicas} replicas created)`,
      )
      .join(', ') || '<none>';
  return `OldReplicaSets:\t${text(own.filter((set) => !isNew(set)))}\nNewReplicaSet:\t${text(own.filter(isNew))}\n`;
}
