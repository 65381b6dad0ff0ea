/**
 * Rolls a Deployment's template out: one ReplicaSet a template, scaled step by step within the allowed limits. Going
 * back is the same as going forth, as an old template has its old ReplicaSet.
 */

import { isDeepStrictEqual } from 'node:util';
import { isReason } from '../api/errors.ts';
import type { Deployment, DeploymentCondition, Pod, ReplicaSet } from '../api/generated/types.ts';
import { type ApiObject, type Ref, refOf } from '../api/meta.ts';
import { matchesLabels, selectorOf } from '../api/selectors.ts';
import type { Cache } from '../client/client.ts';
import { controllerOf } from '../client/object-index.ts';
import { describe } from '../log/log.ts';
import { claim, ORPHANS, orphanNamespaces } from './adoption.ts';
import { type Context, type Controller, DONE, type Result } from './controller.ts';
import {
  currentOf,
  draftOf,
  forgotten,
  hasTemplate,
  REVISION,
  refreshed,
  revisionOf,
  sizes,
} from './deployment-revision.ts';
import {
  isScaling,
  limitsOf,
  newReplicas,
  oldTargets,
  scaleTargets,
  type Target,
} from './deployment-scale.ts';
import { deadlineInMs, deadlineMs, deploymentStatus, withCondition } from './deployment-status.ts';
import { isFinished } from './pods.ts';
import { ProgressAges } from './progress-age.ts';

const ages = new ProgressAges();

export const deployment: Controller = {
  name: 'deployment',
  watches: {
    primary: 'deployments',
    owns: ['replicasets'],
    maps: { replicasets: matching, pods: recreating },
    indexes: { replicasets: { [ORPHANS]: orphanNamespaces } },
  },
  async reconcile(ref, context, signal) {
    const found = context.cache.get<Deployment>('deployments', ref);
    if (!found) return DONE; // Deleted; the garbage collector takes the ReplicaSets it owned.
    const selector = selectorOf(found.spec.selector);
    const options = { resource: 'replicasets', owner: found, selector };
    const sets = await claim<ReplicaSet>(context, options, signal);
    return new Run(found, context, signal).sync(sets);
  },
};

/** The Deployments that may want to adopt a ReplicaSet without a controller. */
function matching(rs: ApiObject, cache: Cache): readonly Ref[] {
  if (controllerOf(rs)) return [];
  return cache
    .list<Deployment>('deployments', rs.metadata.namespace)
    .filter(({ spec }) => matchesLabels(selectorOf(spec.selector), rs.metadata.labels))
    .map(({ metadata }) => metadata);
}

/** A Recreate Deployment waits for its old pods to be gone altogether. */
function recreating(pod: ApiObject, cache: Cache): readonly Ref[] {
  const { namespace } = pod.metadata;
  const owner = controllerOf(pod);
  if (owner?.kind !== 'ReplicaSet' || !namespace) return [];
  const rs = cache.get<ReplicaSet>('replicasets', { namespace, name: owner.name });
  const name = rs && controllerOf(rs)?.name;
  if (!name) return [];
  const found = cache.get<Deployment>('deployments', { namespace, name });
  return found?.spec.strategy?.type === 'Recreate' ? [{ namespace, name }] : [];
}

/** One reconciliation of one Deployment. */
class Run {
  readonly #context: Context;
  readonly #signal: AbortSignal;
  #deployment: Deployment;

  constructor(found: Deployment, context: Context, signal: AbortSignal) {
    this.#deployment = found;
    this.#context = context;
    this.#signal = signal;
  }

  async sync(sets: readonly ReplicaSet[]): Promise<Result> {
    const { metadata, spec } = this.#deployment;
    const alive = sets.filter((rs) => !rs.metadata.deletionTimestamp);
    if (metadata.deletionTimestamp) return this.#report(currentOf(this.#deployment, alive), alive);
    this.#markPaused();
    if (spec.paused || isScaling(this.#deployment, alive)) {
      return this.#scaleOnly(alive);
    }
    return spec.strategy?.type === 'Recreate' ? this.#recreate(alive) : this.#roll(alive);
  }

  /** Paused, or resized in the middle of a rollout: sizes change, templates do not. */
  async #scaleOnly(sets: readonly ReplicaSet[]): Promise<Result> {
    const found = currentOf(this.#deployment, sets);
    const old = sets.filter((rs) => rs !== found);
    const targets = scaleTargets(this.#deployment, found, old);
    const scaled = await this.#scale(targets);
    const byUid = new Map(scaled.map((rs) => [rs.metadata.uid, rs]));
    const now = sets.map((rs) => byUid.get(rs.metadata.uid) ?? rs);
    const current = currentOf(this.#deployment, now);
    if (this.#deployment.spec.paused) await this.#cleanUp(now.filter((rs) => rs !== current));
    return this.#report(current, now);
  }

  async #roll(sets: readonly ReplicaSet[]): Promise<Result> {
    const current = await this.#current(sets);
    const old = sets.filter((rs) => rs.metadata.uid !== current.metadata.uid);
    const replicas = newReplicas(this.#deployment, current.spec.replicas ?? 1, old);
    const isGrowing = replicas !== (current.spec.replicas ?? 1);
    const targets = isGrowing
      ? [{ rs: current, replicas }]
      : oldTargets(this.#deployment, current, old);
    const [scaled] = await this.#scale(targets);
    const now = isGrowing && scaled ? scaled : current;
    if (!isGrowing && !scaled) await this.#cleanUp(old);
    return this.#report(now, [...old, now]);
  }

  async #recreate(sets: readonly ReplicaSet[]): Promise<Result> {
    const found = currentOf(this.#deployment, sets);
    const old = sets.filter((rs) => rs !== found);
    const scaled = await this.#scale(old.map((rs) => ({ rs, replicas: 0 })));
    if (scaled.length > 0 || this.#hasPods(old)) return this.#report(found, sets);
    const current = await this.#current(sets);
    const replicas = this.#deployment.spec.replicas ?? 1;
    const [grown = current] = await this.#scale([{ rs: current, replicas }]);
    if (grown === current) await this.#cleanUp(old);
    return this.#report(grown, [...old, grown]);
  }

  #hasPods(old: readonly ReplicaSet[]): boolean {
    const { cache } = this.#context;
    return old.some((rs) => cache.owned<Pod>('pods', rs).some((pod) => !isFinished(pod)));
  }

  /** The ReplicaSet of the current template, made if need be, with the newest revision number. */
  async #current(sets: readonly ReplicaSet[]): Promise<ReplicaSet> {
    const found = currentOf(this.#deployment, sets);
    const old = sets.filter((rs) => rs !== found);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    const current = found
      ? await this.#refresh(found, revision)
      : await this.#create(old, revision);
    await this.#markRevision(revisionOf(current));
    return current;
  }

  async #refresh(found: ReplicaSet, revision: number): Promise<ReplicaSet> {
    const { name } = found.metadata;
    if (!this.#progressing()) {
      this.#note('True', 'FoundNewReplicaSet', `Found new replica set "${name}"`);
    }
    const next = refreshed(this.#deployment, found, revision);
    if (next === found) return found;
    return this.#context.client.update<ReplicaSet>('replicasets', next, this.#signal);
  }

  async #create(old: readonly ReplicaSet[], revision: number): Promise<ReplicaSet> {
    const { client, events } = this.#context;
    const total = this.#deployment.spec.replicas ?? 1;
    const replicas = newReplicas(this.#deployment, 0, old);
    const maxReplicas = total + limitsOf(this.#deployment).maxSurge;
    const draft = draftOf(this.#deployment, { revision, replicas, maxReplicas });
    const name = draft.metadata.name ?? '';
    try {
      const made = await client.create<ReplicaSet>('replicasets', draft, this.#signal);
      if (replicas > 0) {
        const message = `Scaled up replica set ${name} from 0 to ${replicas}`;
        events.normal(this.#deployment, 'ScalingReplicaSet', message);
      }
      this.#note('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`);
      return made;
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return this.#collided(name, error);
      const message = `Failed to create new replica set "${name}": ${describe(error)}`;
      this.#note('False', 'ReplicaSetCreateError', message);
      await this.#report(undefined, old);
      throw error;
    }
  }

  /** The name is taken: by our own ReplicaSet of this very template, or by another; then the next hash differs. */
  async #collided(name: string, error: unknown): Promise<ReplicaSet> {
    const { client } = this.#context;
    const { namespace } = this.#deployment.metadata;
    const ref = namespace ? { namespace, name } : refOf(name);
    const other = await client.get<ReplicaSet>('replicasets', ref, this.#signal);
    const isOwn = controllerOf(other)?.uid === this.#deployment.metadata.uid;
    if (isOwn && hasTemplate(other, this.#deployment.spec.template)) return other;
    const collisionCount = (this.#deployment.status?.collisionCount ?? 0) + 1;
    const status = { ...this.#deployment.status, collisionCount };
    await client.updateStatus<Deployment>(
      'deployments',
      { ...this.#deployment, status },
      this.#signal,
    );
    throw error;
  }

  async #markRevision(revision: number): Promise<void> {
    if (revisionOf(this.#deployment) === revision) return;
    const { conditions } = this.#deployment.status ?? {};
    const written = await this.#context.client.patch<Deployment>(
      'deployments',
      this.#deployment.metadata,
      { metadata: { annotations: { [REVISION]: String(revision) } } },
      { type: 'merge' },
      this.#signal,
    );
    // What was noted in this run and is not written yet must survive.
    const status = { ...written.status, ...(conditions ? { conditions } : {}) };
    this.#deployment = { ...written, status };
  }

  /** Sets the sizes that differ; resolves to the ReplicaSets that were changed in size. */
  async #scale(targets: readonly Target[]): Promise<ReplicaSet[]> {
    const { client, events } = this.#context;
    const maxReplicas = (this.#deployment.spec.replicas ?? 1) + limitsOf(this.#deployment).maxSurge;
    const annotations = sizes(this.#deployment, maxReplicas);
    const changed: ReplicaSet[] = [];
    for (const { rs, replicas } of targets) {
      const before = rs.spec.replicas ?? 1;
      const known = rs.metadata.annotations ?? {};
      const hasSizes = Object.entries(annotations).every(([key, value]) => known[key] === value);
      if (before === replicas && (replicas === 0 || hasSizes)) continue;
      const metadata = { ...rs.metadata, annotations: { ...known, ...annotations } };
      const next = { ...rs, metadata, spec: { ...rs.spec, replicas } };
      const written = await client.update<ReplicaSet>('replicasets', next, this.#signal);
      changed.push(written);
      if (before === replicas) continue;
      const verb = replicas > before ? 'up' : 'down';
      const message = `Scaled ${verb} replica set ${rs.metadata.name} from ${before} to ${replicas}`;
      events.normal(this.#deployment, 'ScalingReplicaSet', message);
    }
    return changed;
  }

  async #cleanUp(old: readonly ReplicaSet[]): Promise<void> {
    for (const { metadata } of forgotten(this.#deployment, old)) {
      await this.#context.client.remove('replicasets', metadata, {}, this.#signal);
    }
  }

  #progressing(): DeploymentCondition | undefined {
    return this.#deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  }

  #markPaused(): void {
    if (deadlineMs(this.#deployment) === undefined) return;
    const { reason } = this.#progressing() ?? {};
    if (reason === 'ProgressDeadlineExceeded') return;
    const { paused } = this.#deployment.spec;
    if (paused && reason !== 'DeploymentPaused') {
      this.#note('Unknown', 'DeploymentPaused', 'Deployment is paused');
    } else if (!paused && reason === 'DeploymentPaused') {
      this.#note('Unknown', 'DeploymentResumed', 'Deployment is resumed');
    }
  }

  /** Sets the Progressing condition; it is written with the status at the end of the run. */
  #note(status: string, reason: string, message: string): void {
    if (deadlineMs(this.#deployment) === undefined) return;
    const before = this.#deployment.status?.conditions ?? [];
    const fresh = { type: 'Progressing', status, reason, message };
    const conditions = withCondition(before, fresh, this.#context.now());
    this.#deployment = { ...this.#deployment, status: { ...this.#deployment.status, conditions } };
  }

  async #report(current: ReplicaSet | undefined, sets: readonly ReplicaSet[]): Promise<Result> {
    const { client, cache } = this.#context;
    const now = this.#context.now();
    const old = sets.filter((rs) => rs.metadata.uid !== current?.metadata.uid);
    const deployment = this.#deployment;
    const deadlineNow = ages.now(deployment, this.#progressing(), this.#context);
    const status = deploymentStatus({ deployment, current, old, now, deadlineNow });
    const before = cache.get<Deployment>('deployments', this.#deployment.metadata)?.status;
    if (!isDeepStrictEqual(status, before)) {
      const next = { ...this.#deployment, status };
      await client.updateStatus<Deployment>('deployments', next, this.#signal);
    }
    const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
    const laterMs = ages.now(deployment, progressing, this.#context);
    const waitMs = deadlineInMs(deployment, laterMs, progressing);
    // A second later than due: timestamps have whole seconds.
    return waitMs ? { requeueAfterMs: waitMs + 1000 } : DONE;
  }
}
