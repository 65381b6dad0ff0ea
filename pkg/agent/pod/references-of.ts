/** Which ConfigMaps, Secrets and ClusterTrustBundles a pod refers to, in env, envFrom and volumes, and its RuntimeClass. */

import type { Container, Pod, Volume, VolumeProjection } from '../../api/generated/types.ts';
import type { Reference, ReferenceKind } from '../references.ts';
import { allContainers } from './records.ts';

export function referencesOf(pod: Pod): readonly Reference[] {
  const namespace = pod.metadata.namespace ?? '';
  const make = (kind: ReferenceKind, name: string | undefined): readonly Reference[] =>
    name ? [{ kind, ref: { namespace, name } }] : [];
  const names = [
    ...allContainers(pod).flatMap(namesOfContainer),
    ...(pod.spec.volumes ?? []).flatMap(namesOfVolume),
    ...(pod.spec.imagePullSecrets ?? []).map(({ name }) => ['secrets', name] as const),
  ];
  const sources = (pod.spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  const bundles = sources.some(({ clusterTrustBundle }) => clusterTrustBundle);
  return [
    ...names.flatMap(([kind, name]) => make(kind, name)),
    ...(bundles ? [{ kind: 'clustertrustbundles', ref: { name: '' } } as const] : []),
    ...runtimeClassOf(pod),
  ];
}

/** Of the whole cluster. */
export function runtimeClassOf({ spec }: Pod): readonly Reference[] {
  const { runtimeClassName: name } = spec;
  return name ? [{ kind: 'runtimeclasses', ref: { name } }] : [];
}

type Name = readonly [ReferenceKind, string | undefined];

function namesOfContainer(container: Container): readonly Name[] {
  const env = (container.env ?? []).flatMap(({ valueFrom }): Name[] => [
    ['configmaps', valueFrom?.configMapKeyRef?.name],
    ['secrets', valueFrom?.secretKeyRef?.name],
  ]);
  const envFrom = (container.envFrom ?? []).flatMap(({ configMapRef, secretRef }): Name[] => [
    ['configmaps', configMapRef?.name],
    ['secrets', secretRef?.name],
  ]);
  return [...env, ...envFrom];
}

function namesOfVolume(volume: Volume): readonly Name[] {
  return [
    ['configmaps', volume.configMap?.name],
    ['secrets', volume.secret?.secretName],
    ...(volume.projected?.sources ?? []).flatMap(namesOfProjection),
  ];
}

function namesOfProjection({ configMap, secret }: VolumeProjection): readonly Name[] {
  return [
    ['configmaps', configMap?.name],
    ['secrets', secret?.name],
  ];
}
