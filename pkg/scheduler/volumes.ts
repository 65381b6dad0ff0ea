/** What a pod's volumes ask of a node: its claims must be bound, and bound volumes may live on some nodes only. */

import type {
  NodeSelector,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
} from '../api/generated/types.ts';
import type { Cache } from '../client/client.ts';

export interface VolumeNeeds {
  readonly affinities: readonly NodeSelector[];
  /** Why no node at all will do. */
  readonly problem: string | undefined;
}

const NONE: VolumeNeeds = { affinities: [], problem: undefined };

/** Reads the claims of a pod. */
export function volumeNeeds(pod: Pod, cache: Cache): VolumeNeeds {
  const names = claimNames(pod);
  if (names.length === 0) return NONE;
  const affinities: NodeSelector[] = [];
  const namespace = pod.metadata.namespace ?? '';
  for (const name of names) {
    const claim = cache.get<PersistentVolumeClaim>('persistentvolumeclaims', { namespace, name });
    if (!claim) return { affinities, problem: `persistentvolumeclaim "${name}" not found` };
    if (claim.metadata.deletionTimestamp) {
      return { affinities, problem: `persistentvolumeclaim "${name}" is being deleted` };
    }
    const { volumeName } = claim.spec ?? {};
    const volume = volumeName
      ? cache.get<PersistentVolume>('persistentvolumes', { name: volumeName })
      : undefined;
    if (claim.status?.phase !== 'Bound' || !volume) {
      return { affinities, problem: 'pod has unbound immediate PersistentVolumeClaims' };
    }
    const required = volume.spec?.nodeAffinity?.required;
    if (required) affinities.push(required);
  }
  return { affinities, problem: undefined };
}

function claimNames({ metadata, spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [`${metadata.name}-${name}`] : [];
  });
}
