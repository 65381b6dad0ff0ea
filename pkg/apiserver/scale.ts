/** The scale subresource: the replicas of any resource that has them, as autoscaling/v1 Scale. */

import { StatusError } from '../api/errors.ts';
import type { Scale } from '../api/generated/types.ts';
import type { ApiObject, ObjectMeta } from '../api/meta.ts';
import type { Resource, ScalePaths } from '../api/resource.ts';
import { typeOfKind } from '../api/schema.ts';
import { admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeAs, decodeValue, fieldValidationOf } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { trackerOf } from './managers.ts';
import type { Call, Parts } from './parts.ts';
import { patchedBy } from './patch.ts';
import { respondObject } from './respond.ts';
import { unknownPath } from './unknown-path.ts';
import { checkName, read } from './verbs.ts';
import { changeObject, refIn } from './write.ts';

const SCALE_TYPE = 'io.k8s.api.autoscaling.v1.Scale';

/** What a Scale looks like as a table. */
const SCALE_ROW: Resource = {
  gvk: ['autoscaling', 'v1', 'Scale'],
  names: { plural: 'scales', singular: 'scale' },
  namespaced: true,
  type: typeOfKind('autoscaling/v1', 'Scale') ?? SCALE_TYPE,
  validate: () => [],
  columns: [
    { name: 'Name', cell: ({ metadata }) => metadata.name },
    { name: 'Desired', type: 'integer', cell: (object) => asScale(object).spec.replicas ?? 0 },
    { name: 'Available', type: 'integer', cell: (object) => asScale(object).status?.replicas ?? 0 },
    { name: 'Age', cell: ({ metadata }) => metadata.creationTimestamp },
  ],
};

/** Serves GET of a scale. */
export function getScale(parts: Parts, call: Call): ServerResponse {
  return respondScale(parts, call, read(parts, call));
}

/** Serves PUT of a scale. */
export async function updateScale(parts: Parts, call: Call): Promise<ServerResponse> {
  const { object } = decodeAs(call.request, SCALE_TYPE);
  checkName(call, object);
  return await change(parts, call, () => asScale(object));
}

/** Serves PATCH of a scale. */
export async function patchScale(parts: Parts, call: Call): Promise<ServerResponse> {
  return await change(parts, call, (current) => {
    const patched = patchedBy(call.request, SCALE_TYPE, current);
    const mode = fieldValidationOf(call.request.query);
    return asScale(decodeValue(patched, SCALE_TYPE, mode).object);
  });
}

async function change(
  parts: Parts,
  call: Call,
  make: (current: Scale) => Scale,
): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const paths = pathsOf(resource);
  const isDryRun = isDryRunQuery(request.query);
  const object = await changeObject(parts, {
    resource,
    ref: refIn(route.namespace, route.name),
    change: (current) => {
      const next = make(scaleOf(paths, current));
      const replicas = next.spec.replicas ?? 0;
      if (replicas < 0) throw negative(route.name, replicas);
      const { resourceVersion } = next.metadata;
      const scaled = paths.withReplicas(current, replicas);
      return { ...scaled, metadata: { ...scaled.metadata, resourceVersion } };
    },
    isDryRun,
    isRetried: request.method === 'PATCH',
    admit: admission(parts, call, isDryRun),
    track: trackerOf(parts, call),
  });
  return respondScale(parts, call, object);
}

function respondScale(parts: Parts, call: Call, object: ApiObject): ServerResponse {
  const scale = scaleOf(pathsOf(call.resource), object);
  return respondObject(parts, { ...call, resource: SCALE_ROW }, { object: scale });
}

function pathsOf({ scale }: Resource): ScalePaths<ApiObject> {
  if (!scale) throw unknownPath();
  return scale;
}

function scaleOf(paths: ScalePaths<ApiObject>, object: ApiObject): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const metadata: ObjectMeta = {
    name,
    ...(namespace ? { namespace } : {}),
    uid,
    resourceVersion,
    creationTimestamp,
  };
  const selector = paths.selector(object);
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata,
    spec: { replicas: paths.replicas(object) },
    status: { replicas: paths.statusReplicas(object), ...(selector ? { selector } : {}) },
  };
}

function asScale(object: ApiObject): Scale {
  return object as Scale;
}

function negative(name: string, replicas: number): StatusError {
  const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
  return new StatusError(
    'Invalid',
    `Scale.autoscaling "${name}" is invalid: spec.replicas: ${message}`,
    {
      name,
      group: 'autoscaling',
      kind: 'Scale',
      causes: [{ reason: 'FieldValueInvalid', field: 'spec.replicas', message }],
    },
  );
}
