/**
 * mini's own provisioner: answers a claim with a volume on the node that the scheduler chose for its first pod. The
 * node makes the directory when a pod mounts it, grows it and removes it; see pkg/agent/volumes/local-path.ts.
 */

import { isReason } from '../api/errors.ts';
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../api/generated/types.ts';
import { bytes } from '../api/quantity.ts';
import {
  BIND_COMPLETED,
  classNameOf,
  LOCAL_PATH,
  PROVISIONED_BY,
  SELECTED_NODE,
  STORAGE_PROVISIONER,
  VOLUME_BYTES,
  VOLUME_NODE,
} from '../api/volume-binding.ts';
import { type Context, type Controller, DONE } from './controller.ts';

const CLAIMS = 'persistentvolumeclaims';
/** Smaller ones have no room for a file system; a device has whole pages. */
const MIN_BYTES = { Filesystem: 16 * 1024 * 1024, Block: 4096 };
const MODES = ['ReadWriteOnce', 'ReadWriteOncePod'];

export const localPath: Controller = {
  name: 'local-path',
  watches: {
    primary: CLAIMS,
    maps: { nodes: () => [] },
    reads: ['persistentvolumes', 'storageclasses'],
  },
  async reconcile(ref, context, signal) {
    const { cache, client, events } = context;
    const claim = cache.get<PersistentVolumeClaim>(CLAIMS, ref);
    const annotations = claim?.metadata.annotations ?? {};
    const isMine =
      annotations[STORAGE_PROVISIONER] === LOCAL_PATH && annotations[BIND_COMPLETED] === undefined;
    if (!claim || !isMine || claim.spec?.volumeName || claim.metadata.deletionTimestamp)
      return DONE;
    const name = `pvc-${claim.metadata.uid}`;
    if (cache.get('persistentvolumes', { name })) return DONE;
    const storageClass = cache.get<StorageClass>('storageclasses', { name: classNameOf(claim) });
    const node = cache.get<Node>('nodes', { name: annotations[SELECTED_NODE] ?? '' });
    const why = refusal(claim, { storageClass, node });
    if (why) {
      events.warning(
        claim,
        'ProvisioningFailed',
        `failed to provision volume with StorageClass "${classNameOf(claim)}": ${why}`,
      );
      await reschedule(claim, node, context);
      return DONE;
    }
    if (!storageClass || !node) return DONE;
    try {
      await client.create<PersistentVolume>(
        'persistentvolumes',
        volumeFor(claim, { storageClass, node }),
        signal,
      );
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
    events.normal(claim, 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
    return DONE;
  },
};

interface Place {
  readonly storageClass: StorageClass | undefined;
  readonly node: Node | undefined;
}

/** Why there can be no volume for the claim; undefined = there can. */
function refusal(
  { spec, metadata }: PersistentVolumeClaim,
  { storageClass, node }: Place,
): string | undefined {
  const selected = metadata.annotations?.[SELECTED_NODE];
  if (!storageClass) return 'the class is gone';
  if (spec?.selector) return 'claim.Spec.Selector is not supported';
  if (spec?.dataSource ?? spec?.dataSourceRef)
    return 'volumes are made empty: a data source is not supported';
  if (!(spec?.accessModes ?? []).every((mode) => MODES.includes(mode))) {
    return `a volume on one node has the access modes ${MODES.join(' and ')} only`;
  }
  if (spec?.volumeAttributesClassName)
    return 'volumes of this provisioner have no attributes: a VolumeAttributesClass is not supported';
  if (storageClass.mountOptions?.length) return 'mountOptions of the class are not supported';
  if (!selected) {
    return 'no node is chosen: the class needs volumeBindingMode WaitForFirstConsumer';
  }
  if (!node) return `node "${selected}" is gone`;
  if (!node.metadata.annotations?.[LOCAL_PATH]) {
    return `node "${selected}" makes no volumes: it has not told its directory for them`;
  }
  return undefined;
}

/** The scheduler may choose another node when this one cannot help. */
async function reschedule(
  claim: PersistentVolumeClaim,
  node: Node | undefined,
  { client }: Context,
): Promise<void> {
  const { [SELECTED_NODE]: selected, ...annotations } = claim.metadata.annotations ?? {};
  if (!selected || node?.metadata.annotations?.[LOCAL_PATH]) return;
  const metadata = { ...claim.metadata, annotations };
  await client.update<PersistentVolumeClaim>(CLAIMS, { ...claim, metadata });
}

function volumeFor(
  { metadata, spec }: PersistentVolumeClaim,
  { storageClass, node }: { readonly storageClass: StorageClass; readonly node: Node },
) {
  const { namespace = '', name, uid } = metadata;
  const asked = spec?.resources?.requests?.['storage'] ?? '0';
  const volumeMode = spec?.volumeMode === 'Block' ? 'Block' : 'Filesystem';
  const size = Math.max(bytes(asked), MIN_BYTES[volumeMode]);
  const hostname = node.metadata.labels?.['kubernetes.io/hostname'] ?? node.metadata.name;
  const { accessModes } = spec ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: `pvc-${uid}`,
      labels: { [VOLUME_NODE]: node.metadata.name },
      annotations: { [PROVISIONED_BY]: LOCAL_PATH, [VOLUME_BYTES]: String(size) },
      finalizers: [LOCAL_PATH],
    },
    spec: {
      capacity: { storage: size > bytes(asked) ? String(size) : asked },
      ...(accessModes ? { accessModes } : {}),
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      volumeMode,
      local: {
        path: `${node.metadata.annotations?.[LOCAL_PATH]}/pvc-${uid}_${namespace}_${name}`,
      },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: 'kubernetes.io/hostname', operator: 'In', values: [hostname] },
              ],
            },
          ],
        },
      },
    },
  } as const;
}
