/**
 * Grows volumes whose claims ask for more. For volumes of mini's own provisioner the volume's capacity says what is
 * wanted, its node makes it so and notes the size on the volume, and then the claim's status shows it. A device grows
 * under whoever has it open; a file system may have to wait for its pod's next start.
 */

import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimCondition,
  PersistentVolumeClaimStatus,
} from '../api/generated/types.ts';
import { bytes, compareQuantities } from '../api/quantity.ts';
import { LOCAL_PATH, PROVISIONED_BY, VOLUME_BYTES, VOLUME_NODE } from '../api/volume-binding.ts';
import { type Context, type Controller, DONE } from './controller.ts';
import { timestamp } from './pods.ts';
import { claimOfVolume, setClaimStatus } from './volume-claims.ts';

const RESIZING = 'Resizing';
const PENDING = 'FileSystemResizePending';
const PENDING_MESSAGE =
  'Waiting for user to (re-)start a pod to finish file system resize of volume on node.';

export const volumeExpand: Controller = {
  name: 'volume-expand',
  watches: { primary: 'persistentvolumeclaims', maps: { persistentvolumes: claimOfVolume } },
  async reconcile(ref, context) {
    const claim = context.cache.get<PersistentVolumeClaim>('persistentvolumeclaims', ref);
    const name = claim?.spec?.volumeName ?? '';
    const volume = name && context.cache.get<PersistentVolume>('persistentvolumes', { name });
    if (!claim || !volume || claim.status?.phase !== 'Bound') return DONE;
    const asked = claim.spec?.resources?.requests?.['storage'] ?? '0';
    if (compareQuantities(asked, claim.status.capacity?.['storage'] ?? '0') <= 0) return DONE;
    if (volume.metadata.annotations?.[PROVISIONED_BY] === LOCAL_PATH) {
      await expand(claim, volume, context);
    } else {
      const message =
        'waiting for an external controller to expand this PVC: mini expands volumes of its own provisioner only';
      context.events.normal(claim, 'ExternalExpanding', message);
    }
    return DONE;
  },
};

async function expand(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  context: Context,
): Promise<void> {
  const { client, events } = context;
  const { name, annotations = {}, labels = {} } = volume.metadata;
  const isBlock = volume.spec?.volumeMode === 'Block';
  const storage = claim.spec?.resources?.requests?.['storage'] ?? '0';
  if (Number(annotations[VOLUME_BYTES] ?? 0) >= bytes(storage)) {
    const capacity = { storage: volume.spec?.capacity?.['storage'] ?? storage };
    const status = { ...settled(claim), capacity };
    await client.updateStatus<PersistentVolumeClaim>('persistentvolumeclaims', {
      ...claim,
      status,
    });
    if (isBlock) {
      events.normal(claim, 'VolumeResizeSuccessful', 'Resize volume succeeded');
      return;
    }
    const message = `MountVolume.NodeExpandVolume succeeded for volume "${name}" ${labels[VOLUME_NODE] ?? ''}`;
    events.normal(claim, 'FileSystemResizeSuccessful', message);
    return;
  }
  if (compareQuantities(volume.spec?.capacity?.['storage'] ?? '0', storage) < 0) {
    events.normal(claim, 'Resizing', `External resizer is resizing volume ${name}`);
    await client.update<PersistentVolume>('persistentvolumes', {
      ...volume,
      spec: { ...volume.spec, capacity: { ...volume.spec?.capacity, storage } },
    });
  }
  const type = isBlock ? RESIZING : PENDING;
  if (claim.status?.conditions?.some((each) => each.type === type)) return;
  const condition: PersistentVolumeClaimCondition = {
    type,
    status: 'True',
    lastTransitionTime: timestamp(context.now()),
    ...(isBlock ? {} : { message: PENDING_MESSAGE }),
  };
  const others = claim.status?.conditions?.filter((each) => each.type !== RESIZING) ?? [];
  await setClaimStatus(
    claim,
    {
      conditions: [...others, condition],
      allocatedResources: { storage },
      allocatedResourceStatuses: {
        storage: isBlock ? 'ControllerResizeInProgress' : 'NodeResizePending',
      },
    },
    context,
  );
  if (isBlock) return;
  events.normal(claim, 'FileSystemResizeRequired', 'Require file system resize of volume on node');
}

/** The status without what told of the growing. */
function settled({ status }: PersistentVolumeClaim): PersistentVolumeClaimStatus {
  const {
    allocatedResources: _resources,
    allocatedResourceStatuses: _statuses,
    conditions = [],
    ...rest
  } = status ?? {};
  const others = conditions.filter(({ type }) => type !== PENDING && type !== RESIZING);
  return { ...rest, ...(others.length > 0 ? { conditions: others } : {}) };
}
