/** Small plug-ins that complete pods and claims: tolerations, storage class. */

import type { PersistentVolumeClaim, StorageClass, Toleration } from '../../api/generated/types.ts';
import { defaultClass, wantsDefaultClass } from '../../api/volume-binding.ts';
import type { Admission } from '../contract.ts';
import { isOn, objectAs, writtenPod } from './subject.ts';

/** A pod stays this long on a node that is not ready or cannot be reached. */
const TOLERATION_SECONDS = 300;
const NODE_TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

export const defaultTolerationSeconds: Admission = {
  name: 'DefaultTolerationSeconds',
  admit(request) {
    // Also an update: whoever replaces the list keeps these.
    const pod = writtenPod(request);
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
