/**
 * What a pod's volumes ask of a node: bound ones may live on some nodes only; unbound ones of a class that waits for
 * its first consumer must find a volume there, or a provisioner that makes one. Reasons as kube-scheduler's.
 */

import type {
  Node,
  NodeSelector,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  Volume,
} from '../api/generated/types.ts';
import { matchesSelector } from '../api/node-affinity.ts';
import {
  claimNameOf,
  classNameOf,
  findVolume,
  foreignClaim,
  isFullyBound,
  LOCAL_PATH,
  NO_PROVISIONER,
  SELECTED_NODE,
} from '../api/volume-binding.ts';
import type { Cache } from '../client/client.ts';
import type { NodeInfo } from './node-table.ts';

export interface VolumeNeeds {
  readonly affinities: readonly NodeSelector[];
  /** Why no node at all will do. */
  readonly problem: string | undefined;
  /** A volume that one of its claims is bound to is gone. */
  readonly hasLost: boolean;
  /** Claims that get a volume on the pod's node. */
  readonly unbound: readonly UnboundClaim[];
  /** Pods that use a claim which this pod wants for itself alone, or the other way round. */
  readonly rivals: readonly Rival[];
}

interface UnboundClaim {
  readonly claim: PersistentVolumeClaim;
  readonly storageClass: StorageClass;
  /** Chosen for another pod that uses the claim. */
  readonly nodeName: string | undefined;
  /** Volumes that the claim may get, on whatever node. */
  readonly volumes: readonly PersistentVolume[];
}

interface Rival {
  readonly uid: string;
  readonly nodeName: string;
}

/** What was decided a moment ago and is not in the cache yet. */
export interface Assumed {
  /** Node by uid of the claim. */
  readonly nodes: Map<string, string>;
  /** Uid of the claim by name of the volume. */
  readonly volumes: Map<string, string>;
}

const NONE: VolumeNeeds = {
  affinities: [],
  problem: undefined,
  hasLost: false,
  unbound: [],
  rivals: [],
};
const LOST = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';
const NO_VOLUME = "node(s) didn't find available persistent volumes to bind";
const WRONG_NODE = "node(s) didn't match PersistentVolume's node affinity";
const RIVAL =
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';

export interface VolumeFacts {
  readonly cache: Cache;
  readonly nodes: readonly NodeInfo[];
  readonly assumed: Assumed;
}

/** Whether a pod's place depends on claims. */
export function usesClaims(pod: Pod): boolean {
  return (pod.spec.volumes ?? []).some((volume) => claimNameOf(pod, volume) !== undefined);
}

/** Reads the claims of a pod. */
export function volumeNeeds(pod: Pod, facts: VolumeFacts): VolumeNeeds {
  const affinities: NodeSelector[] = [];
  const unbound: UnboundClaim[] = [];
  const exclusive = new Set<string>();
  for (const volume of pod.spec.volumes ?? []) {
    const claim = claimOf(pod, volume, facts);
    if (claim === undefined) continue;
    if (typeof claim === 'string') return { ...NONE, problem: claim };
    if (claim.spec?.accessModes?.includes('ReadWriteOncePod')) exclusive.add(claim.metadata.name);
    const found = isFullyBound(claim) ? boundVolume(claim, facts) : unboundClaim(claim, facts);
    if (!found) return unplaceable(claim);
    if ('claim' in found) unbound.push(found);
    else affinities.push(...affinityOf(found));
  }
  return { ...NONE, affinities, unbound, rivals: rivalsOf(pod, exclusive, facts) };
}

/** The volume is gone, or is not there yet and will not wait for the pod. */
function unplaceable(claim: PersistentVolumeClaim): VolumeNeeds {
  if (isFullyBound(claim)) return { ...NONE, hasLost: true };
  return { ...NONE, problem: 'pod has unbound immediate PersistentVolumeClaims' };
}

function affinityOf({ spec }: PersistentVolume): readonly NodeSelector[] {
  const required = spec?.nodeAffinity?.required;
  return required ? [required] : [];
}

/** The claim behind a volume, or why it keeps the pod from every node; undefined for other volumes. */
function claimOf(
  pod: Pod,
  volume: Volume,
  { cache }: VolumeFacts,
): PersistentVolumeClaim | string | undefined {
  const name = claimNameOf(pod, volume);
  if (name === undefined) return undefined;
  const ref = { namespace: pod.metadata.namespace ?? '', name };
  const claim = cache.get<PersistentVolumeClaim>('persistentvolumeclaims', ref);
  return problemOf(pod, claim, { name, isEphemeral: volume.ephemeral !== undefined }) ?? claim;
}

function problemOf(
  pod: Pod,
  claim: PersistentVolumeClaim | undefined,
  { name, isEphemeral }: { readonly name: string; readonly isEphemeral: boolean },
): string | undefined {
  if (!claim) {
    return isEphemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  }
  if (claim.status?.phase === 'Lost') {
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`;
  }
  if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
  return isEphemeral ? foreignClaim(pod, claim) : undefined;
}

function boundVolume(
  { spec }: PersistentVolumeClaim,
  { cache }: VolumeFacts,
): PersistentVolume | undefined {
  return cache.get<PersistentVolume>('persistentvolumes', { name: spec?.volumeName ?? '' });
}

/** Undefined when the claim is not one that waits for its first consumer. */
function unboundClaim(
  claim: PersistentVolumeClaim,
  { cache, assumed }: VolumeFacts,
): UnboundClaim | undefined {
  const name = classNameOf(claim);
  const storageClass = cache.get<StorageClass>('storageclasses', { name });
  if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer' || claim.spec?.volumeName) {
    return undefined;
  }
  const { uid, annotations } = claim.metadata;
  const volumes = cache
    .list<PersistentVolume>('persistentvolumes')
    .filter(({ metadata }) => (assumed.volumes.get(metadata.name) ?? uid) === uid);
  const nodeName = assumed.nodes.get(uid) ?? annotations?.[SELECTED_NODE];
  return { claim, storageClass, nodeName, volumes };
}

/** Only claims of mode ReadWriteOncePod make rivals; pods that are placed but not bound yet count. */
function rivalsOf(
  pod: Pod,
  exclusive: ReadonlySet<string>,
  { nodes }: VolumeFacts,
): readonly Rival[] {
  if (exclusive.size === 0) return [];
  return nodes.flatMap((node) =>
    [...node.pods.values()]
      .filter(
        ({ pod: other, uid }) =>
          uid !== pod.metadata.uid &&
          other.metadata.namespace === pod.metadata.namespace &&
          (other.spec.volumes ?? []).some((volume) =>
            exclusive.has(claimNameOf(other, volume) ?? ''),
          ),
      )
      .map(({ uid }) => ({ uid, nodeName: node.name })),
  );
}

/** Why the node does not do because of another pod that uses a claim; taking that away may help. */
export function rivalReason({ rivals }: VolumeNeeds, node: NodeInfo): string | undefined {
  const isThere = rivals.some(({ uid, nodeName }) => nodeName !== node.name || node.pods.has(uid));
  return isThere ? RIVAL : undefined;
}

/** Why the node does not do; undefined = it does. */
export function volumeReason(needs: VolumeNeeds, node: Node): string | undefined {
  if (needs.hasLost) return LOST;
  if (!needs.affinities.every((selector) => matchesSelector(selector, node))) return WRONG_NODE;
  if (needs.unbound.length === 0) return undefined;
  return choose(needs, node) ? undefined : NO_VOLUME;
}

export interface Choice {
  readonly claim: PersistentVolumeClaim;
  /** Absent = the class's provisioner makes one. */
  readonly volume: PersistentVolume | undefined;
}

/** A volume, or its provisioning, for each unbound claim; undefined when the node has none for one of them. */
export function choose({ unbound }: VolumeNeeds, node: Node): readonly Choice[] | undefined {
  const taken = new Set<string>();
  const choices: Choice[] = [];
  for (const { claim, storageClass, nodeName, volumes } of unbound) {
    if (nodeName !== undefined && nodeName !== node.metadata.name) return undefined;
    const volume = findVolume(claim, {
      volumes,
      taken,
      isUsable({ spec }) {
        const required = spec?.nodeAffinity?.required;
        return !required || matchesSelector(required, node);
      },
    });
    if (volume) taken.add(volume.metadata.name);
    else if (!canProvision(storageClass, node)) return undefined;
    choices.push({ claim, volume });
  }
  return choices;
}

function canProvision({ provisioner, allowedTopologies = [] }: StorageClass, node: Node): boolean {
  if (provisioner === NO_PROVISIONER) return false;
  if (provisioner === LOCAL_PATH && !node.metadata.annotations?.[LOCAL_PATH]) return false;
  const labels = node.metadata.labels ?? {};
  return (
    allowedTopologies.length === 0 ||
    allowedTopologies.some(({ matchLabelExpressions = [] }) =>
      matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
    )
  );
}
