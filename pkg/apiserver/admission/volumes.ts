/** Plug-ins about volumes and claims: who uses them must be done before they go; who may ask for more room. */

import { forbidden } from '../../api/errors.ts';
import type { PersistentVolumeClaim, StorageClass } from '../../api/generated/types.ts';
import { compareQuantities } from '../../api/quantity.ts';
import { classNameOf } from '../../api/volume-binding.ts';
import type { Admission } from '../contract.ts';
import { isOn, objectAs, shownName } from './subject.ts';

const FINALIZERS: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
  'volumeattributesclasses.storage.k8s.io': 'kubernetes.io/vac-protection',
};

export const storageObjectInUseProtection: Admission = {
  name: 'StorageObjectInUseProtection',
  admit(request) {
    const { object, resource, group } = request;
    const name = group ? `${resource}.${group}` : resource;
    const finalizer = isOn(request, 'CREATE', name) ? FINALIZERS[name] : undefined;
    if (!object || !finalizer) return object;
    const { finalizers = [] } = object.metadata;
    if (finalizers.includes(finalizer)) return object;
    return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } };
  },
};

/** Source: Kubernetes' PersistentVolumeClaimResize admission. */
export const claimResize: Admission = {
  name: 'PersistentVolumeClaimResize',
  admit(request) {
    if (!isOn(request, 'UPDATE', 'persistentvolumeclaims')) return request.object;
    const now = objectAs<PersistentVolumeClaim>(request.object, 'PersistentVolumeClaim');
    const old = objectAs<PersistentVolumeClaim>(request.old, 'PersistentVolumeClaim');
    if (!now || !old || compareQuantities(sizeOf(now), sizeOf(old)) <= 0) return request.object;
    const refuse = (why: string) =>
      forbidden({ plural: 'persistentvolumeclaims', group: '' }, shownName(request), why);
    if (old.status?.phase !== 'Bound')
      throw refuse('Only bound persistent volume claims can be expanded');
    const name = classNameOf(now);
    const found = request.registry.get<StorageClass>('storageclasses', { name });
    if (found?.allowVolumeExpansion !== true) {
      throw refuse(
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      );
    }
    return request.object;
  },
};

function sizeOf({ spec }: PersistentVolumeClaim): string {
  return spec?.resources?.requests?.['storage'] ?? '0';
}
