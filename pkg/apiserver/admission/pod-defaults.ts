/** Small plug-ins that complete pods and claims: tolerations, runtime class, storage class. */

import { forbidden } from '../../api/errors.ts';
import type {
  PersistentVolumeClaim,
  Pod,
  RuntimeClass,
  StorageClass,
  Toleration,
} from '../../api/generated/types.ts';
import { defaultClass, wantsDefaultClass } from '../../api/volume-binding.ts';
import type { Admission } from '../contract.ts';
import { createdPod, isOn, objectAs, shownName } from './subject.ts';

/** A pod stays this long on a node that is not ready or cannot be reached. */
const TOLERATION_SECONDS = 300;
const NODE_TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

export const defaultTolerationSeconds: Admission = {
  name: 'DefaultTolerationSeconds',
  admit(request) {
    const pod = createdPod(request);
    if (!pod) return request.object;
    const tolerations = pod.spec.tolerations ?? [];
    const missing = NODE_TAINTS.filter(
      (taint) => !tolerations.some((each) => toleratesEviction(each, taint)),
    );
    if (missing.length === 0) return pod;
    const added = missing.map((key) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: TOLERATION_SECONDS,
    }));
    return { ...pod, spec: { ...pod.spec, tolerations: [...tolerations, ...added] } };
  },
};

function toleratesEviction({ key, effect }: Toleration, taint: string): boolean {
  return (key === taint || !key) && (effect === 'NoExecute' || !effect);
}

export const runtimeClass: Admission = {
  name: 'RuntimeClass',
  admit(request) {
    const pod = createdPod(request);
    const name = pod?.spec.runtimeClassName;
    if (!pod) return request.object;
    const refuse = (why: string) =>
      forbidden({ plural: 'pods', group: '' }, shownName(request), why);
    if (!name) {
      if (pod.spec.overhead && Object.keys(pod.spec.overhead).length > 0) {
        throw refuse(
          'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
        );
      }
      return pod;
    }
    const found = request.registry.get<RuntimeClass>('runtimeclasses', { name });
    if (!found) throw refuse(`pod rejected: RuntimeClass "${name}" not found`);
    return withScheduling(pod, found);
  },
};

function withScheduling(pod: Pod, { overhead, scheduling }: RuntimeClass): Pod {
  const { nodeSelector, tolerations } = scheduling ?? {};
  return {
    ...pod,
    spec: {
      ...pod.spec,
      ...(overhead?.podFixed ? { overhead: overhead.podFixed } : {}),
      ...(nodeSelector ? { nodeSelector: { ...pod.spec.nodeSelector, ...nodeSelector } } : {}),
      ...(tolerations ? { tolerations: [...(pod.spec.tolerations ?? []), ...tolerations] } : {}),
    },
  };
}

export const defaultStorageClass: Admission = {
  name: 'DefaultStorageClass',
  admit(request) {
    const { object, registry } = request;
    if (!isOn(request, 'CREATE', 'persistentvolumeclaims')) return object;
    const claim = objectAs<PersistentVolumeClaim>(object, 'PersistentVolumeClaim');
    if (!claim?.spec || !wantsDefaultClass(claim)) return object;
    const found = defaultClass(registry.list<StorageClass>('storageclasses').items);
    if (!found) return claim;
    return { ...claim, spec: { ...claim.spec, storageClassName: found.metadata.name } };
  },
};
