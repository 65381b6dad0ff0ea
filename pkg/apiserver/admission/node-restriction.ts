/** A node writes only about itself and its pods. Source: Kubernetes' NodeRestriction admission. */

import { isDeepStrictEqual } from 'node:util';
import { forbidden } from '../../api/errors.ts';
import type {
  Node,
  PersistentVolume,
  Pod,
  PodCertificateRequest,
} from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Admission, AdmissionRequest } from '../contract.ts';
import { nodeNameOf } from '../nodes.ts';
import { objectAs } from './subject.ts';

const MIRROR = 'kubernetes.io/config.mirror';
/** Labels by which operators keep workloads apart; a node must not move itself among them. */
const RESTRICTED = 'node-restriction.kubernetes.io/';

export const nodeRestriction: Admission = {
  name: 'NodeRestriction',
  admit(request) {
    const nodeName = nodeNameOf(request.user);
    if (nodeName === undefined) return request.object;
    CHECKS[`${request.group}/${request.resource}`]?.({ request, nodeName });
    return request.object;
  },
};

interface Check {
  readonly request: AdmissionRequest;
  readonly nodeName: string;
}

const CHECKS: Readonly<Record<string, (check: Check) => void>> = {
  '/pods': checkPod,
  '/nodes': checkNode,
  '/persistentvolumes': checkVolume,
  'certificates.k8s.io/podcertificaterequests': checkCertificateRequest,
  'coordination.k8s.io/leases': checkOwnName,
  'storage.k8s.io/csinodes': checkOwnName,
};

function checkPod({ request, nodeName }: Check): void {
  const { operation, subresource, registry, namespace, name } = request;
  if (operation === 'CREATE' && !subresource) {
    checkMirror(request, nodeName);
    return;
  }
  const known = objectAs<Pod>(request.old, 'Pod') ?? registry.get<Pod>('pods', { namespace, name });
  if (known && known.spec.nodeName !== nodeName) {
    throw refuse(
      request,
      `node "${nodeName}" can only ${verbOf(request)} pods with spec.nodeName set to itself`,
    );
  }
  const written = objectAs<Pod>(request.object, 'Pod');
  if (
    subresource === 'status' &&
    !isDeepStrictEqual(written?.metadata.labels, known?.metadata.labels)
  ) {
    throw refuse(request, `node "${nodeName}" cannot update labels through pod status`);
  }
}

function checkMirror(request: AdmissionRequest, nodeName: string): void {
  const pod = objectAs<Pod>(request.object, 'Pod');
  if (pod?.metadata.annotations?.[MIRROR] === undefined) {
    throw refuse(
      request,
      `pod does not have "${MIRROR}" annotation, node "${nodeName}" can only create mirror pods`,
    );
  }
  if (pod.spec.nodeName !== nodeName) {
    throw refuse(
      request,
      `node "${nodeName}" can only create pods with spec.nodeName set to itself`,
    );
  }
  const refersToSecrets = (pod.spec.volumes ?? []).some(
    ({ secret, configMap, projected }) => secret ?? configMap ?? projected,
  );
  if (pod.spec.serviceAccountName || refersToSecrets) {
    throw refuse(request, `node "${nodeName}" can not create pods that reference API objects`);
  }
}

function checkNode({ request, nodeName }: Check): void {
  const { operation, object, old } = request;
  if (operation === 'DELETE')
    throw refuse(request, `node "${nodeName}" is not allowed to delete nodes`);
  const name = request.name || object?.metadata.name;
  if (name !== nodeName)
    throw refuse(request, `node "${nodeName}" is not allowed to modify node "${name}"`);
  const before = objectAs<Node>(old, 'Node');
  const after = objectAs<Node>(object, 'Node');
  const labels = (node: ApiObject | undefined) => restricted(node?.metadata.labels);
  if (!isDeepStrictEqual(labels(before), labels(after))) {
    throw refuse(
      request,
      `is not allowed to modify labels: ${Object.keys({ ...labels(before), ...labels(after) }).join(', ')}`,
    );
  }
  if (
    operation === 'UPDATE' &&
    !isDeepStrictEqual(before?.spec?.taints ?? [], after?.spec?.taints ?? [])
  ) {
    throw refuse(request, `node "${nodeName}" is not allowed to modify taints`);
  }
}

/** For a pod of the node, under the names and uids that it has. */
function checkCertificateRequest({ request, nodeName }: Check): void {
  const { object, namespace, registry, operation } = request;
  const asked = objectAs<PodCertificateRequest>(object, 'PodCertificateRequest');
  if (operation !== 'CREATE' || !asked) return;
  const { spec } = asked;
  if (spec.nodeName !== nodeName) {
    const why = `node "${nodeName}" can only create PodCertificateRequests for pods on itself`;
    throw refuse(request, why);
  }
  const pod = registry.get<Pod>('pods', { namespace, name: spec.podName });
  const account = registry.get('serviceaccounts', { namespace, name: spec.serviceAccountName });
  const wrong =
    pod?.metadata.uid !== spec.podUID || pod?.spec.nodeName !== nodeName
      ? `pod "${spec.podName}" with uid "${spec.podUID}" does not run on node "${nodeName}"`
      : (pod.spec.serviceAccountName ?? 'default') !== spec.serviceAccountName ||
          account?.metadata.uid !== spec.serviceAccountUID
        ? `pod "${spec.podName}" does not run as service account "${spec.serviceAccountName}"`
        : registry.get('nodes', { name: nodeName })?.metadata.uid !== spec.nodeUID
          ? `node "${nodeName}" has another uid`
          : undefined;
  if (wrong) throw refuse(request, wrong);
}

/** Of a volume that it made a node writes its notes and takes its finalizer away: what the volume is stays. */
function checkVolume({ request, nodeName }: Check): void {
  if (request.operation !== 'UPDATE') return;
  const before = objectAs<PersistentVolume>(request.old, 'PersistentVolume');
  const after = objectAs<PersistentVolume>(request.object, 'PersistentVolume');
  const same =
    isDeepStrictEqual(before?.spec, after?.spec) &&
    isDeepStrictEqual(before?.metadata.labels, after?.metadata.labels);
  if (!same) {
    throw refuse(
      request,
      `node "${nodeName}" can only change annotations and finalizers of its volumes`,
    );
  }
}

function checkOwnName({ request, nodeName }: Check): void {
  const name = request.name || request.object?.metadata.name;
  if (name !== nodeName) {
    throw refuse(
      request,
      `node "${nodeName}" can only access ${request.resource} with the same name as the requesting node`,
    );
  }
}

function restricted(labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(labels).filter(
    ([key]) => key.startsWith(RESTRICTED) || key.includes(`.${RESTRICTED}`),
  );
  return Object.fromEntries(kept);
}

function verbOf({ operation, subresource }: AdmissionRequest): string {
  if (subresource === 'eviction') return 'evict';
  return operation === 'DELETE' ? 'delete' : 'update status for';
}

function refuse({ resource, group, name }: AdmissionRequest, why: string) {
  return forbidden({ plural: resource, group }, name, why);
}
