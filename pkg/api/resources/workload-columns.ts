/** Columns of the workload kinds: deployments, sets, jobs. Source: kubernetes pkg/printers/internalversion. */

import { ageOf, humanDuration } from '../age.ts';
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../generated/types.ts';
import type { Column } from '../resource.ts';
import { showSelector } from '../selectors.ts';
import { AGE, containerColumns, integer, NAME, NONE, showLabels, text, wide } from './columns.ts';

export const DEPLOYMENT_COLUMNS: readonly Column<Deployment>[] = [
  NAME,
  text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
  integer('Up-to-date', ({ status }) => status?.updatedReplicas ?? 0),
  integer('Available', ({ status }) => status?.availableReplicas ?? 0),
  AGE,
  ...containerColumns<Deployment>(({ spec }) => spec.template.spec),
  wide(text('Selector', ({ spec }) => showSelector(spec.selector))),
];

export const REPLICASET_COLUMNS: readonly Column<ReplicaSet>[] = [
  NAME,
  integer('Desired', ({ spec }) => spec.replicas ?? 0),
  integer('Current', ({ status }) => status?.replicas ?? 0),
  integer('Ready', ({ status }) => status?.readyReplicas ?? 0),
  AGE,
  ...containerColumns<ReplicaSet>(({ spec }) => spec.template?.spec),
  wide(text('Selector', ({ spec }) => showSelector(spec.selector))),
];

export const REPLICATIONCONTROLLER_COLUMNS: readonly Column<ReplicationController>[] = [
  NAME,
  integer('Desired', ({ spec }) => spec.replicas ?? 0),
  integer('Current', ({ status }) => status?.replicas ?? 0),
  integer('Ready', ({ status }) => status?.readyReplicas ?? 0),
  AGE,
  ...containerColumns<ReplicationController>(({ spec }) => spec.template?.spec),
  wide(text('Selector', ({ spec }) => showLabels(spec.selector))),
];

export const STATEFULSET_COLUMNS: readonly Column<StatefulSet>[] = [
  NAME,
  text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
  AGE,
  ...containerColumns<StatefulSet>(({ spec }) => spec.template.spec),
];

export const DAEMONSET_COLUMNS: readonly Column<DaemonSet>[] = [
  NAME,
  integer('Desired', ({ status }) => status?.desiredNumberScheduled ?? 0),
  integer('Current', ({ status }) => status?.currentNumberScheduled ?? 0),
  integer('Ready', ({ status }) => status?.numberReady ?? 0),
  integer('Up-to-date', ({ status }) => status?.updatedNumberScheduled ?? 0),
  integer('Available', ({ status }) => status?.numberAvailable ?? 0),
  text('Node Selector', ({ spec }) => showLabels(spec.template.spec?.nodeSelector)),
  AGE,
  ...containerColumns<DaemonSet>(({ spec }) => spec.template.spec),
  wide(text('Selector', ({ spec }) => showSelector(spec.selector))),
];

function hasCondition({ status }: Job, wanted: string): boolean {
  return (
    status?.conditions?.some(({ type, status: is }) => type === wanted && is === 'True') ?? false
  );
}

function jobStatus(job: Job): string {
  if (hasCondition(job, 'Complete')) return 'Complete';
  if (hasCondition(job, 'Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  if (hasCondition(job, 'Suspended')) return 'Suspended';
  if (hasCondition(job, 'FailureTarget')) return 'FailureTarget';
  if (hasCondition(job, 'SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

function jobCompletions({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0;
  if (spec.completions !== undefined && spec.completions !== null) {
    return `${done}/${spec.completions}`;
  }
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function jobDuration({ status }: Job, nowMs: number): string {
  if (!status?.startTime) return '';
  const endMs = status.completionTime ? Date.parse(status.completionTime) : nowMs;
  return humanDuration(endMs - Date.parse(status.startTime));
}

export const JOB_COLUMNS: readonly Column<Job>[] = [
  NAME,
  text('Status', jobStatus),
  text('Completions', jobCompletions),
  text('Duration', jobDuration),
  AGE,
  ...containerColumns<Job>(({ spec }) => spec.template.spec),
  wide(text('Selector', ({ spec }) => showSelector(spec.selector))),
];

export const CRONJOB_COLUMNS: readonly Column<CronJob>[] = [
  NAME,
  text('Schedule', ({ spec }) => spec.schedule),
  text('Timezone', ({ spec }) => spec.timeZone ?? NONE),
  text('Suspend', ({ spec }) => (spec.suspend ? 'True' : 'False')),
  integer('Active', ({ status }) => status?.active?.length ?? 0),
  text('Last Schedule', ({ status }, nowMs) =>
    status?.lastScheduleTime ? ageOf(status.lastScheduleTime, nowMs) : NONE,
  ),
  AGE,
  ...containerColumns<CronJob>(({ spec }) => spec.jobTemplate.spec?.template.spec),
  wide(text('Selector', ({ spec }) => showSelector(spec.jobTemplate.spec?.selector))),
];
