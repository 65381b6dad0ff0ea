/** The ReplicaSets of a Deployment as its revisions: which is the current one, and what their annotations tell. */

import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../api/generated/types.ts';
import type { Draft } from '../api/meta.ts';
import { controllerReference } from './adoption.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
const HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED = 'deployment.kubernetes.io/desired-replicas';
export const MAXIMUM = 'deployment.kubernetes.io/max-replicas';
const HASH_LABEL = 'pod-template-hash';

/** Annotations of a Deployment that say something of it alone. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  HISTORY,
  DESIRED,
  MAXIMUM,
  'deprecated.deployment.rollback.to',
]);
/** Letters and digits that make no words; Kubernetes' safe alphabet. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const HASH_LENGTH = 10;

/** Revision number of a ReplicaSet; 0 when it has none. */
export function revisionOf({ metadata }: ReplicaSet | Deployment): number {
  return Number(metadata.annotations?.[REVISION]) || 0;
}

/** Oldest first. */
export function byAge(sets: readonly ReplicaSet[]): ReplicaSet[] {
  return sets.toSorted(
    (a, b) =>
      Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp) ||
      (a.metadata.name < b.metadata.name ? -1 : 1),
  );
}

/** Whether a ReplicaSet runs this template, its hash label aside. */
export function hasTemplate(rs: ReplicaSet, template: PodTemplateSpec): boolean {
  return isDeepStrictEqual(withoutHash(rs.spec.template ?? {}), withoutHash(template));
}

/** The ReplicaSet of the Deployment's current template: the oldest, should there be several. */
export function currentOf(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
): ReplicaSet | undefined {
  return byAge(sets).find((rs) => hasTemplate(rs, deployment.spec.template));
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { creationTimestamp: _, labels = {}, ...metadata } = template.metadata ?? {};
  const kept = Object.entries(labels).filter(([key]) => key !== HASH_LABEL);
  return { ...template, metadata: { ...metadata, labels: Object.fromEntries(kept) } };
}

/** A hash of the template and of how often it has collided, as it ends the ReplicaSet's name. */
export function templateHash(template: PodTemplateSpec, collisionCount = 0): string {
  const text = `${canonical(withoutHash(template))}/${collisionCount}`;
  const digest = createHash('sha256').update(text).digest();
  let out = '';
  for (const byte of digest.subarray(0, HASH_LENGTH)) out += ALPHABET[byte % ALPHABET.length];
  return out;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join()}}`;
}

export interface NewSet {
  readonly revision: number;
  readonly replicas: number;
  readonly maxReplicas: number;
}

/** The ReplicaSet to create for the Deployment's template. */
export function draftOf(deployment: Deployment, set: NewSet): Draft<ReplicaSet> {
  const { metadata, spec, status } = deployment;
  const hash = templateHash(spec.template, status?.collisionCount);
  const labels = { ...spec.template.metadata?.labels, [HASH_LABEL]: hash };
  const { matchLabels, ...selector } = spec.selector;
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
      labels,
      annotations: {
        ...copied(deployment),
        [REVISION]: String(set.revision),
        ...sizes(deployment, set.maxReplicas),
      },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: set.replicas,
      selector: { ...selector, matchLabels: { ...matchLabels, [HASH_LABEL]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      ...(spec.minReadySeconds ? { minReadySeconds: spec.minReadySeconds } : {}),
    },
  };
}

/** The annotations that tell by which Deployment size a ReplicaSet was last scaled. */
export function sizes({ spec }: Deployment, maxReplicas: number): Record<string, string> {
  return { [DESIRED]: String(spec.replicas ?? 1), [MAXIMUM]: String(maxReplicas) };
}

function copied({ metadata }: Deployment): Record<string, string> {
  const entries = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !NOT_COPIED.has(key),
  );
  return Object.fromEntries(entries);
}

/** The current ReplicaSet with the annotations and minReadySeconds it should have; the same object if it has them. */
export function refreshed(deployment: Deployment, rs: ReplicaSet, revision: number): ReplicaSet {
  const before = rs.metadata.annotations ?? {};
  const after: Record<string, string> = { ...before, ...copied(deployment) };
  if (revisionOf(rs) < revision) {
    const history = [before[HISTORY], before[REVISION]].filter(Boolean).join(',');
    if (history) after[HISTORY] = history;
    after[REVISION] = String(revision);
  }
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const isSame =
    isDeepStrictEqual(before, after) && (rs.spec.minReadySeconds ?? 0) === minReadySeconds;
  if (isSame) return rs;
  const metadata = { ...rs.metadata, annotations: after };
  return { ...rs, metadata, spec: { ...rs.spec, minReadySeconds } };
}

/** The old ReplicaSets that the history limit no longer keeps, oldest revision first. */
export function forgotten(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  const alive = old.filter(({ metadata }) => !metadata.deletionTimestamp);
  const excess = Math.max(0, alive.length - limit);
  return alive
    .toSorted((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, excess)
    .filter(isSettledAtZero);
}

function isSettledAtZero({ metadata, spec, status }: ReplicaSet): boolean {
  return (
    spec.replicas === 0 &&
    (status?.replicas ?? 0) === 0 &&
    (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0)
  );
}
