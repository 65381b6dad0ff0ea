/** The status of a Deployment as `kubectl rollout status` reads it: counts, conditions, the progress deadline. Pure. */

import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from '../api/generated/types.ts';
import { available, limitsOf } from './deployment-scale.ts';
import { timestamp } from './pods.ts';

/** As Kubernetes: this many seconds mean "no deadline". */
const NO_DEADLINE = 2 ** 31 - 1;
const DEADLINE_DEFAULT_S = 600;

export interface Rollout {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly now: number;
  /** The time that the progress deadline is judged by, see ProgressAges; absent = now. */
  readonly deadlineNow?: number;
}

type Fresh = Omit<DeploymentCondition, 'lastTransitionTime' | 'lastUpdateTime'>;

/** The conditions with `fresh` among them; unchanged when status and reason are as before. */
export function withCondition(
  conditions: readonly DeploymentCondition[],
  fresh: Fresh,
  now: number,
): readonly DeploymentCondition[] {
  const before = conditions.find(({ type }) => type === fresh.type);
  if (before?.status === fresh.status && before.reason === fresh.reason) return conditions;
  return replaced(conditions, fresh, now);
}

function replaced(
  conditions: readonly DeploymentCondition[],
  fresh: Fresh,
  now: number,
): DeploymentCondition[] {
  const before = conditions.find(({ type }) => type === fresh.type);
  const lastUpdateTime = timestamp(now);
  const isSame = before?.status === fresh.status;
  const lastTransitionTime = (isSame ? before?.lastTransitionTime : undefined) ?? lastUpdateTime;
  const others = conditions.filter(({ type }) => type !== fresh.type);
  return [...others, { ...fresh, lastUpdateTime, lastTransitionTime }];
}

/** Counts and conditions of a Deployment now. `collisionCount` is kept from its last status. */
export function deploymentStatus(rollout: Rollout): DeploymentStatus {
  const { deployment, now } = rollout;
  const counts = countsOf(rollout);
  const { collisionCount } = deployment.status ?? {};
  const withAvailable = withCondition(
    deployment.status?.conditions ?? [],
    availability(deployment, counts.availableReplicas),
    now,
  );
  const withProgress = progressed(rollout, counts, withAvailable);
  const conditions = withFailure(rollout, withProgress);
  const { generation } = deployment.metadata;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...withoutZeros(counts),
    terminatingReplicas: counts.terminatingReplicas,
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions,
  };
}

type Counts = ReturnType<typeof countsOf>;

function countsOf({ current, old }: Rollout) {
  const sets = current ? [...old, current] : old;
  const sum = (value: (status: NonNullable<ReplicaSet['status']>) => number | undefined) =>
    sets.reduce((total, { status }) => total + ((status && value(status)) ?? 0), 0);
  const replicas = sum((status) => status.replicas);
  const availableReplicas = available(sets);
  return {
    replicas,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum((status) => status.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, replicas - availableReplicas),
    terminatingReplicas: sum((status) => status.terminatingReplicas),
  };
}

function withoutZeros(counts: Counts): Partial<Counts> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

function availability(deployment: Deployment, availableReplicas: number): Fresh {
  const minimum = (deployment.spec.replicas ?? 1) - limitsOf(deployment).maxUnavailable;
  if (availableReplicas >= minimum) {
    const message = 'Deployment has minimum availability.';
    return { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message };
  }
  const message = 'Deployment does not have minimum availability.';
  return { type: 'Available', status: 'False', reason: 'MinimumReplicasUnavailable', message };
}

/** Milliseconds of a Deployment's progress deadline; undefined when it has none. */
export function deadlineMs({ spec }: Deployment): number | undefined {
  const seconds = spec.progressDeadlineSeconds ?? DEADLINE_DEFAULT_S;
  return seconds === NO_DEADLINE ? undefined : seconds * 1000;
}

function progressed(
  rollout: Rollout,
  counts: Counts,
  conditions: readonly DeploymentCondition[],
): readonly DeploymentCondition[] {
  const { deployment, now, deadlineNow = now } = rollout;
  const before = conditions.find(({ type }) => type === 'Progressing');
  if (deployment.spec.paused || deadlineMs(deployment) === undefined) return conditions;
  const isKnownComplete =
    counts.replicas === counts.updatedReplicas && before?.reason === 'NewReplicaSetAvailable';
  if (isKnownComplete) return conditions;
  const subject = rollout.current
    ? `ReplicaSet "${rollout.current.metadata.name}"`
    : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, counts)) {
    const message = `${subject} has successfully progressed.`;
    const reason = 'NewReplicaSetAvailable';
    return withCondition(conditions, { type: 'Progressing', status: 'True', reason, message }, now);
  }
  if (isProgressing(deployment, counts)) {
    // Always replaced: its lastUpdateTime is what the deadline counts from.
    const message = `${subject} is progressing.`;
    return replaced(
      conditions,
      { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message },
      now,
    );
  }
  if (deadlineInMs(deployment, deadlineNow, before) !== 0) return conditions;
  const message = `${subject} has timed out progressing.`;
  const reason = 'ProgressDeadlineExceeded';
  return withCondition(conditions, { type: 'Progressing', status: 'False', reason, message }, now);
}

function isComplete({ spec }: Deployment, counts: Counts): boolean {
  const total = spec.replicas ?? 1;
  return (
    counts.updatedReplicas === total &&
    counts.replicas === total &&
    counts.availableReplicas === total
  );
}

function isProgressing({ status }: Deployment, counts: Counts): boolean {
  const updated = status?.updatedReplicas ?? 0;
  const oldBefore = (status?.replicas ?? 0) - updated;
  return (
    counts.updatedReplicas > updated ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > (status?.readyReplicas ?? 0) ||
    counts.availableReplicas > (status?.availableReplicas ?? 0)
  );
}

/** Milliseconds until the progress deadline; 0 = it has passed, undefined = nothing to wait for. */
export function deadlineInMs(
  deployment: Deployment,
  now: number,
  progressing: DeploymentCondition | undefined,
): number | undefined {
  const limitMs = deadlineMs(deployment);
  if (limitMs === undefined || !progressing || deployment.spec.paused) return undefined;
  if (progressing.reason === 'NewReplicaSetAvailable') return undefined;
  if (progressing.reason === 'ProgressDeadlineExceeded') return 0;
  const since = Date.parse(progressing.lastUpdateTime ?? deployment.metadata.creationTimestamp);
  return Math.max(0, since + limitMs - now);
}

/** Takes the failure over from the ReplicaSets, of the newest that has one. */
function withFailure(
  { current, old, now }: Rollout,
  conditions: readonly DeploymentCondition[],
): readonly DeploymentCondition[] {
  const sets = current ? [current, ...old] : old;
  const failure = sets
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type }) => type === 'ReplicaFailure');
  if (!failure) return conditions.filter(({ type }) => type !== 'ReplicaFailure');
  const { status, reason = '', message = '' } = failure;
  return withCondition(conditions, { type: 'ReplicaFailure', status, reason, message }, now);
}
