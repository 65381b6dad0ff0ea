/**
 * DELETE of one object: preconditions, grace period, finalizers. An object that something holds (a grace period, a
 * finalizer) is marked and stays; whoever holds it lets go later, and the last one to do so removes it.
 */

import { conflict, isReason, notFound } from '../api/errors.ts';
import type { ApiObject, ObjectMeta } from '../api/meta.ts';
import type { Resource } from '../api/resource.ts';
import { type Admit, admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeOptions } from './decode.ts';
import { type DeleteOptions, deleteOptionsOf } from './delete-options.ts';
import { hasSpecFinalizers, timestamp } from './metadata.ts';
import { nextChange } from './next-change.ts';
import type { Call, Parts } from './parts.ts';
import { respondObject } from './respond.ts';
import { nameOf, revisionOf, type Target } from './storage.ts';
import { refIn, type Writer } from './write.ts';

/** How often a delete that lost a race is tried on the newer revision. */
const ATTEMPTS_MAX = 100;
const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';

/** What a delete did. */
export interface Deletion {
  readonly object: ApiObject;
  readonly isRemoved: boolean;
}

/** Serves DELETE of one object. */
export async function deleteVerb(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const options = deleteOptionsOf(request.query, decodeOptions(request));
  const target = { resource, ref: refIn(route.namespace, route.name) };
  const admit = admission(parts, call, options.isDryRun);
  const { object, isRemoved } = await deleteObject(parts, { ...target, options, admit });
  if (!isRemoved || resource.graceSeconds) {
    const isAccepted = !isRemoved && options.propagationPolicy === 'Foreground';
    return respondObject(parts, call, { object, status: isAccepted ? 202 : 200 });
  }
  return { kind: 'object', status: 200, body: success(resource, object) };
}

function success(resource: Resource, { metadata }: ApiObject): object {
  const { plural, group } = nameOf(resource);
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: metadata.name, ...(group ? { group } : {}), kind: plural, uid: metadata.uid },
  };
}

export interface DeleteRequest extends Target {
  readonly options: DeleteOptions;
  readonly admit?: Admit;
}

/** Deletes or marks an object. Throws NotFound, Conflict. */
export async function deleteObject(writer: Writer, request: DeleteRequest): Promise<Deletion> {
  const name = nameOf(request.resource);
  for (let attempt = 1; ; attempt += 1) {
    const current = writer.storage.get(request);
    if (!current) throw notFound(name, request.ref.name);
    checkPreconditions(request, current);
    await request.admit?.('DELETE', { object: undefined, old: current });
    try {
      return await deleteOnce(writer, request, current);
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isReason(error, 'Conflict')) throw error;
      await nextChange(writer, { target: request, seen: current });
    }
  }
}

async function deleteOnce(
  writer: Writer,
  request: DeleteRequest,
  current: ApiObject,
): Promise<Deletion> {
  const { resource, options } = request;
  const next = marked(request, current, writer.clock.now());
  const isHeld = next !== undefined;
  if (options.isDryRun) return { object: next ?? current, isRemoved: !isHeld };
  if (!isHeld) {
    return { object: await writer.storage.delete(request, revisionOf(current)), isRemoved: true };
  }
  if (next === current) return { object: current, isRemoved: false };
  return {
    object: await writer.storage.update(resource, next, revisionOf(current)),
    isRemoved: false,
  };
}

/** The object as it stays behind, or undefined when nothing holds it. */
function marked(
  { resource, options }: DeleteRequest,
  current: ApiObject,
  nowMs: number,
): ApiObject | undefined {
  const finalizers = finalizersAfter(current.metadata, options.propagationPolicy);
  const grace = graceOf(resource, options, current);
  const isHeld = finalizers.length > 0 || grace > 0 || hasSpecFinalizers(current);
  if (!isHeld) return undefined;
  const times = timesAfter(current.metadata, grace, nowMs);
  const isSame =
    times.deletionTimestamp === current.metadata.deletionTimestamp &&
    times.deletionGracePeriodSeconds === current.metadata.deletionGracePeriodSeconds &&
    finalizers.join() === (current.metadata.finalizers ?? []).join();
  if (isSame) return current;
  const { finalizers: _old, ...metadata } = current.metadata;
  const generation = metadata.generation;
  const isFirst = metadata.deletionTimestamp === undefined;
  return terminating({
    ...current,
    metadata: {
      ...metadata,
      ...times,
      ...(generation === undefined ? {} : { generation: generation + (isFirst ? 1 : 0) }),
      ...(finalizers.length > 0 ? { finalizers } : {}),
    },
  });
}

function terminating(object: ApiObject): ApiObject {
  if (object.kind !== 'Namespace') return object;
  const status = (object as { readonly status?: object }).status;
  return { ...object, status: { ...status, phase: 'Terminating' } } as ApiObject;
}

function timesAfter(metadata: ObjectMeta, grace: number, nowMs: number) {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
  if (deletionTimestamp === undefined) {
    return {
      deletionTimestamp: timestamp(nowMs + grace * 1000),
      deletionGracePeriodSeconds: grace,
    };
  }
  if (grace >= deletionGracePeriodSeconds) return { deletionTimestamp, deletionGracePeriodSeconds };
  const startMs = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  return {
    deletionTimestamp: timestamp(startMs + grace * 1000),
    deletionGracePeriodSeconds: grace,
  };
}

/** The grace period that holds this object; a second delete may only shorten the first one's. */
function graceOf(resource: Resource, options: DeleteOptions, current: ApiObject): number {
  const natural = resource.graceSeconds?.(current) ?? 0;
  if (natural === 0) return 0;
  const asked = options.gracePeriodSeconds;
  const running = current.metadata.deletionGracePeriodSeconds;
  if (asked === undefined) return running ?? natural;
  const wanted = asked < 0 ? 1 : asked;
  return running === undefined ? wanted : Math.min(wanted, running);
}

function finalizersAfter(
  { finalizers = [] }: ObjectMeta,
  policy: DeleteOptions['propagationPolicy'],
): readonly string[] {
  if (policy === undefined) return finalizers;
  const others = finalizers.filter((name) => name !== ORPHAN && name !== FOREGROUND);
  if (policy === 'Background') return others;
  return [...others, policy === 'Orphan' ? ORPHAN : FOREGROUND];
}

function checkPreconditions({ resource, options, ref }: DeleteRequest, current: ApiObject): void {
  const { uid, resourceVersion } = options.preconditions;
  const { metadata } = current;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(nameOf(resource), ref.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: resource version in precondition: ${resourceVersion}, resource version in object meta: ${metadata.resourceVersion}`;
    throw conflict(nameOf(resource), ref.name, why);
  }
}
