/** The objects that a pod refers to by name in its own namespace. Pure. */

import type { Pod, Volume } from '../../api/generated/types.ts';

export interface PodReferences {
  readonly secrets: ReadonlySet<string>;
  readonly configmaps: ReadonlySet<string>;
  readonly persistentvolumeclaims: ReadonlySet<string>;
}

interface Found {
  readonly secrets: Set<string>;
  readonly configmaps: Set<string>;
  readonly persistentvolumeclaims: Set<string>;
}

/** What a pod refers to; answers are remembered as long as the pod object lives. */
export function podReferences(pod: Pod): PodReferences {
  const known = remembered.get(pod);
  if (known) return known;
  const found: Found = {
    secrets: new Set(),
    configmaps: new Set(),
    persistentvolumeclaims: new Set(),
  };
  for (const { name } of pod.spec.imagePullSecrets ?? []) note(found.secrets, name);
  for (const volume of pod.spec.volumes ?? []) fromVolume(volume, pod.metadata.name, found);
  for (const container of containersOf(pod)) fromContainer(container, found);
  remembered.set(pod, found);
  return found;
}

const remembered = new WeakMap<Pod, PodReferences>();

type AnyContainer = Pod['spec']['containers'][number];

function containersOf({ spec }: Pod): readonly Pick<AnyContainer, 'env' | 'envFrom'>[] {
  return [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
}

function fromContainer(
  { env, envFrom }: Pick<AnyContainer, 'env' | 'envFrom'>,
  found: Found,
): void {
  for (const { valueFrom } of env ?? []) {
    note(found.secrets, valueFrom?.secretKeyRef?.name);
    note(found.configmaps, valueFrom?.configMapKeyRef?.name);
  }
  for (const { secretRef, configMapRef } of envFrom ?? []) {
    note(found.secrets, secretRef?.name);
    note(found.configmaps, configMapRef?.name);
  }
}

function fromVolume(volume: Volume, podName: string, found: Found): void {
  note(found.secrets, volume.secret?.secretName);
  note(found.configmaps, volume.configMap?.name);
  note(found.persistentvolumeclaims, volume.persistentVolumeClaim?.claimName);
  if (volume.ephemeral) note(found.persistentvolumeclaims, `${podName}-${volume.name}`);
  for (const { secret, configMap } of volume.projected?.sources ?? []) {
    note(found.secrets, secret?.name);
    note(found.configmaps, configMap?.name);
  }
  const drivers = [
    volume.csi?.nodePublishSecretRef,
    volume.cephfs?.secretRef,
    volume.rbd?.secretRef,
    volume.flexVolume?.secretRef,
    volume.iscsi?.secretRef,
  ];
  for (const secret of drivers) note(found.secrets, secret?.name);
}

function note(names: Set<string>, name: string | undefined): void {
  if (name) names.add(name);
}
