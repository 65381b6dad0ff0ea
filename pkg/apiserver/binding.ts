/** pods/binding: gives a pod its node, once. */

import { badRequest, conflict } from '../api/errors.ts';
import type { Binding, Pod } from '../api/generated/types.ts';
import type { ApiObject } from '../api/meta.ts';
import { admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeAs } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { timestamp } from './metadata.ts';
import type { Call, Parts } from './parts.ts';
import { asPod } from './pod-node.ts';
import { nameOf } from './storage.ts';
import { changeObject, refIn } from './write.ts';

const BINDING_TYPE = 'io.k8s.api.core.v1.Binding';

/** Serves POST to pods/binding. Throws Conflict for pods that are bound or being deleted. */
export async function bind(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource, route } = call;
  const { object } = decodeAs(request, BINDING_TYPE);
  const isDryRun = isDryRunQuery(request.query);
  await admission(parts, call, isDryRun)('CREATE', { object, old: undefined });
  const binding = asBinding(object);
  checkBinding(binding, route.name);
  const nowMs = parts.clock.now();
  const { uid, resourceVersion } = binding.metadata;
  await changeObject(parts, {
    resource,
    ref: refIn(route.namespace, route.name),
    subresource: 'binding',
    isDryRun,
    isRetried: true,
    change: (current) => {
      const bound = boundPod(asPod(current), binding, nowMs, call);
      const metadata = { ...bound.metadata, ...(uid ? { uid } : {}) };
      return { ...bound, metadata: { ...metadata, resourceVersion: resourceVersion ?? '' } };
    },
  });
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  return { kind: 'object', status: 201, body };
}

function boundPod(pod: Pod, binding: Binding, nowMs: number, { resource }: Call): Pod {
  const { metadata, spec, status } = pod;
  const name = nameOf(resource);
  if (metadata.deletionTimestamp) {
    throw conflict(
      name,
      metadata.name,
      `pod ${metadata.name} is being deleted, cannot be assigned to a host`,
    );
  }
  if (spec.nodeName) {
    throw conflict(
      name,
      metadata.name,
      `pod ${metadata.name} is already assigned to node "${spec.nodeName}"`,
    );
  }
  const gates = spec.schedulingGates ?? [];
  if (gates.length > 0) {
    throw conflict(name, metadata.name, `pod ${metadata.name} has non-empty .spec.schedulingGates`);
  }
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastTransitionTime: timestamp(nowMs),
    ...(metadata.generation ? { observedGeneration: metadata.generation } : {}),
  };
  const others = (status?.conditions ?? []).filter(({ type }) => type !== scheduled.type);
  const annotations = { ...metadata.annotations, ...binding.metadata.annotations };
  const labels = { ...metadata.labels, ...binding.metadata.labels };
  return {
    ...pod,
    metadata: {
      ...metadata,
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
    },
    spec: { ...spec, nodeName: binding.target.name ?? '' },
    status: { ...status, conditions: [...others, scheduled] },
  };
}

function checkBinding({ target, metadata }: Binding, name: string): void {
  if (metadata.name && metadata.name !== name) {
    throw badRequest('name in URL does not match name in Binding object');
  }
  if (target.kind && target.kind !== 'Node' && target.kind !== 'Minion') {
    throw badRequest(
      `target.kind: Unsupported value: "${target.kind}": supported values: "Node", "<empty>"`,
    );
  }
  if (!target.name) throw badRequest('target.name: Required value');
}

function asBinding(object: ApiObject): Binding {
  return object as Binding;
}
