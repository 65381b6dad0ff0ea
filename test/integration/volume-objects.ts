/** Claims, volumes and pods for the tests of volumes: real API server, controllers and scheduler; played nodes. */

import type {
  Event,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
} from '../../pkg/api/generated/types.ts';
import type { ApiObject } from '../../pkg/api/meta.ts';
import { ephemeralVolume } from '../../pkg/controllers/ephemeral-volume.ts';
import { garbageCollector } from '../../pkg/controllers/garbage-collector.ts';
import { localPath } from '../../pkg/controllers/local-path.ts';
import { volumeBinder } from '../../pkg/controllers/volume-binder.ts';
import { volumeExpand } from '../../pkg/controllers/volume-expand.ts';
import {
  claimProtection,
  classProtection,
  volumeProtection,
} from '../../pkg/controllers/volume-protection.ts';
import { type ControlPlane, eventually, startControlPlane } from './control-plane.ts';

const CONTROLLERS = [
  volumeBinder,
  claimProtection,
  volumeProtection,
  classProtection,
  volumeExpand,
  ephemeralVolume,
  localPath,
  garbageCollector,
];

export function storageClass(name: string, options: object = {}) {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: 'mini/local-path',
    volumeBindingMode: 'WaitForFirstConsumer',
    allowVolumeExpansion: true,
    ...options,
  };
}

export function claim(name: string, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
      storageClassName: '',
      ...spec,
    },
  };
}

export function volume(name: string, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, labels: { name } },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: `/volumes/${name}` },
      ...spec,
    },
  };
}

export function on(node: string) {
  const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }];
  return { required: { nodeSelectorTerms: [{ matchExpressions }] } };
}

export function user(name: string, volumes: readonly object[]) {
  const containers = [{ name: 'c', image: 'i' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name },
    spec: { containers, volumes },
  };
}

export function using(name: string, ...claims: readonly string[]) {
  const volumes = claims.map((claimName) => ({
    name: claimName,
    persistentVolumeClaim: { claimName },
  }));
  return user(name, volumes);
}

export const at = (name: string) => ({ namespace: 'default', name });

/** A control plane with two nodes and the controllers of volumes, and what tests ask of it. */
export async function startVolumes(cleanup: (undo: () => Promise<void>) => void) {
  const plane = await startControlPlane();
  cleanup(() => plane.close());
  const { client } = plane;
  const make = (...objects: readonly object[]) =>
    Promise.all(objects.map((object) => client.create(resourceOf(object), object as ApiObject)));
  for (const name of ['node1', 'node2']) {
    await plane.playNode(name);
    const annotations = { 'mini/local-path': `/data/${name}` };
    await client.patch<Node>('nodes', { name }, { metadata: { annotations } }, { type: 'merge' });
  }
  await plane.run(CONTROLLERS);
  const claimWhen = (name: string, isSo: (found: PersistentVolumeClaim) => boolean) =>
    when<PersistentVolumeClaim>(plane, ['persistentvolumeclaims', at(name)], isSo);
  const volumeWhen = (name: string, isSo: (found: PersistentVolume) => boolean) =>
    when<PersistentVolume>(plane, ['persistentvolumes', { name }], isSo);
  const podWhen = (name: string, isSo: (found: Pod) => boolean) =>
    when<Pod>(plane, ['pods', at(name)], isSo);
  const bound = (name: string) => claimWhen(name, ({ status }) => status?.phase === 'Bound');
  return { plane, client, make, claimWhen, volumeWhen, podWhen, bound };
}

function resourceOf(object: object): string {
  const kind = 'kind' in object ? String(object.kind).toLowerCase() : '';
  return kind.endsWith('class') ? `${kind}es` : `${kind}s`;
}

/** Why the scheduler has no node for the pod; empty when it has not said. */
export function reasonOf({ status }: Pod): string {
  const condition = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return condition?.status === 'False' ? (condition.message ?? '') : '';
}

async function when<T extends ApiObject>(
  { client }: ControlPlane,
  [resource, ref]: readonly [
    resource: string,
    ref: { readonly name: string; readonly namespace?: string },
  ],
  isSo: (found: T) => boolean,
): Promise<T> {
  let found: T | undefined;
  await eventually(
    async () => {
      found = await client.get<T>(resource, ref).catch(() => undefined);
      return found !== undefined && isSo(found);
    },
    () => found,
  );
  if (!found) throw new Error(`No ${ref.name}`);
  return found;
}

/** Resolves once an event about the object reads so: reason, then message. */
export async function told({ client }: ControlPlane, name: string, pattern: RegExp): Promise<void> {
  let lines: string[] = [];
  await eventually(
    async () => {
      const { items } = await client.list<Event>('events', {});
      lines = items
        .filter(({ involvedObject }) => involvedObject.name === name)
        .map(({ reason, message }) => `${reason} ${message}`);
      return lines.some((line) => pattern.test(line));
    },
    () => lines,
  );
}

export async function gone(
  { client }: ControlPlane,
  resource: string,
  name: string,
): Promise<void> {
  await eventually(() =>
    client.get(resource, at(name)).then(
      () => false,
      () => true,
    ),
  );
}
