/** The lives of the storage resources through the API, as the conformance tests live them: real API server, no actors. */

import * as assert from 'uvu/assert';
import type {
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  VolumeAttachment,
} from '../../pkg/api/generated/types.ts';
import type { ApiObject, Ref } from '../../pkg/api/meta.ts';
import type { Client } from '../../pkg/client/client.ts';
import { rejects, suite } from '../harness/suite.ts';
import { startControlPlane } from './control-plane.ts';

const MERGE = { type: 'merge' } as const;
const GROUP = 'storage.k8s.io/v1';

const driver = (name: string) => ({
  apiVersion: GROUP,
  kind: 'CSIDriver',
  metadata: { name },
  spec: {},
});
const csiNode = (name: string) => ({
  apiVersion: GROUP,
  kind: 'CSINode',
  metadata: { name },
  spec: { drivers: [{ name: 'csi.example.org', nodeID: 'n1' }] },
});
const capacity = (name: string) => ({
  apiVersion: GROUP,
  kind: 'CSIStorageCapacity',
  metadata: { namespace: 'default', name },
  storageClassName: 'fast',
  capacity: '1Gi',
});
const storageClass = (name: string) => ({
  apiVersion: GROUP,
  kind: 'StorageClass',
  metadata: { name },
  provisioner: 'example.org/none',
});
const attachment = (name: string) => ({
  apiVersion: GROUP,
  kind: 'VolumeAttachment',
  metadata: { name },
  spec: { attacher: 'csi.example.org', nodeName: 'n1', source: { persistentVolumeName: 'v' } },
});
const attributes = (name: string) => ({
  apiVersion: GROUP,
  kind: 'VolumeAttributesClass',
  metadata: { name },
  driverName: 'csi.example.org',
  parameters: { iops: '100' },
});
const volume = (name: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: '/tmp/v' },
  },
});
const claim = (name: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { namespace: 'default', name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
});

interface Row {
  readonly resource: string;
  readonly make: (name: string) => object;
  readonly namespace?: string;
}

/** Create, get, list by label, patch, replace, watch's revision, delete, delete all of a label. */
async function live(client: Client, { resource, make, namespace }: Row): Promise<void> {
  const ref = (name: string) => (namespace ? { namespace, name } : { name });
  const query = { labelSelector: 'life=short', ...(namespace ? { namespace } : {}) };
  const names = async () =>
    (await client.list<ApiObject>(resource, query)).items.map(({ metadata }) => metadata.name);
  for (const name of ['a', 'b', 'c']) await client.create(resource, make(name) as ApiObject);
  assert.is((await client.get(resource, ref('a'))).metadata.name, 'a');
  assert.equal(await names(), []);
  for (const name of ['a', 'b', 'c']) {
    const patched = await client.patch(
      resource,
      ref(name),
      { metadata: { labels: { life: 'short' } } },
      MERGE,
    );
    assert.equal(patched.metadata.labels, { life: 'short' });
  }
  const current = await client.get(resource, ref('a'));
  const annotations = { replaced: 'yes' };
  const replaced = await client.update(resource, {
    ...current,
    metadata: { ...current.metadata, annotations },
  });
  assert.is(replaced.metadata.annotations?.['replaced'], 'yes');
  const stale = client.update(resource, {
    ...current,
    metadata: { ...current.metadata, annotations: {} },
  });
  assert.match(String(await rejects(stale)), /the object has been modified/);
  assert.equal(await names(), ['a', 'b', 'c']);
  await release(client, resource, ref('a'));
  await client.remove(resource, ref('a'));
  assert.match(String(await rejects(client.get(resource, ref('a')))), /not found/);
  for (const name of ['b', 'c']) await release(client, resource, ref(name));
  await client.removeAll(resource, query);
  assert.equal(await names(), []);
}

/** Without their controllers nobody takes protection away. */
async function release(client: Client, resource: string, ref: Ref): Promise<void> {
  await client.patch(resource, ref, { metadata: { finalizers: null } }, MERGE);
}

suite('storage resources of the API', ({ test, cleanup }) => {
  async function start(): Promise<Client> {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    return plane.client;
  }

  test('CSI drivers, nodes and capacities live, and pods may name inline volumes of a driver', async () => {
    const client = await start();
    await live(client, { resource: 'csidrivers', make: driver });
    await live(client, { resource: 'csinodes', make: csiNode });
    await live(client, { resource: 'csistoragecapacities', make: capacity, namespace: 'default' });
    const node = await client.create<CSINode>('csinodes', csiNode('n'));
    const drivers = [{ ...node.spec.drivers[0], name: 'other.example.org', nodeID: 'x' }];
    const updated = await client.update<CSINode>('csinodes', { ...node, spec: { drivers } });
    assert.is(updated.spec.drivers[0]?.name, 'other.example.org');
    const made = await client.create<CSIStorageCapacity>('csistoragecapacities', capacity('c'));
    const grown = await client.update('csistoragecapacities', { ...made, capacity: '2Gi' });
    assert.is(grown.capacity, '2Gi');
    const csi = { driver: 'csi.example.org', volumeAttributes: { a: 'b' } };
    const pod = await client.create<Pod>('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: 'inline' },
      spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'v', csi }] },
    });
    assert.equal(pod.spec.volumes?.[0]?.csi, csi);
    await client.remove('pods', pod.metadata, { gracePeriodSeconds: 0 });
  });

  test('storage classes, attachments and attribute classes live; what they say is fixed', async () => {
    const client = await start();
    await live(client, { resource: 'storageclasses', make: storageClass });
    await live(client, { resource: 'volumeattachments', make: attachment });
    await live(client, { resource: 'volumeattributesclasses', make: attributes });
    const made = await client.create<StorageClass>('storageclasses', storageClass('s'));
    assert.equal([made.reclaimPolicy, made.volumeBindingMode], ['Delete', 'Immediate']);
    const other = client.update('storageclasses', { ...made, provisioner: 'example.org/other' });
    assert.match(String(await rejects(other)), /updates to provisioner are forbidden/);
  });

  test('the status of an attachment is a resource of its own', async () => {
    const client = await start();
    const made = await client.create<VolumeAttachment>('volumeattachments', attachment('a'));
    assert.is(made.status?.attached, false);
    const patched = await client.patch<VolumeAttachment>(
      'volumeattachments',
      { name: 'a' },
      { metadata: { annotations: { patched: 'yes' } }, status: { attached: true } },
      { ...MERGE, subresource: 'status' },
    );
    assert.is(patched.status?.attached, true);
    const put = await client.updateStatus<VolumeAttachment>('volumeattachments', {
      ...patched,
      status: { attached: false },
    });
    assert.is(put.status?.attached, false);
  });

  test('volumes and claims live, protected while they do; their status is a resource of its own', async () => {
    const client = await start();
    const made = [
      await client.create<PersistentVolume>('persistentvolumes', volume('x')),
      await client.create<PersistentVolumeClaim>('persistentvolumeclaims', claim('x')),
    ];
    assert.equal(
      made.flatMap(({ metadata }) => metadata.finalizers),
      ['kubernetes.io/pv-protection', 'kubernetes.io/pvc-protection'],
    );
    assert.equal(
      made.map(({ status }) => status?.phase),
      ['Pending', 'Pending'],
    );
    for (const [resource, ref] of [
      ['persistentvolumes', { name: 'x' }],
      ['persistentvolumeclaims', { namespace: 'default', name: 'x' }],
    ] as const) {
      const status = (message: string) => ({
        conditions: [{ type: 'Test', status: 'True', message }],
        phase: 'Pending',
        message,
      });
      const options = { ...MERGE, subresource: 'status' };
      const patched = await client.patch<PersistentVolumeClaim>(
        resource,
        ref,
        { status: status('one') },
        options,
      );
      const kept = resource === 'persistentvolumes' ? 'message' : 'conditions';
      assert.ok(patched.status && kept in patched.status, JSON.stringify(patched.status));
      const put = await client.updateStatus(resource, {
        ...patched,
        spec: {},
        status: { phase: 'Bound' },
      });
      assert.equal(put.spec, patched.spec);
      assert.is(put.status?.phase, 'Bound');
      await client.remove(resource, ref);
      assert.ok((await client.get(resource, ref)).metadata.deletionTimestamp);
      await release(client, resource, ref);
      assert.match(String(await rejects(client.get(resource, ref))), /not found/);
    }
    await live(client, { resource: 'persistentvolumes', make: volume });
    await live(client, { resource: 'persistentvolumeclaims', make: claim, namespace: 'default' });
  });

  test('a claim is fixed but for its size and, in words only, its class of attributes', async () => {
    const client = await start();
    const made = await client.create<PersistentVolumeClaim>('persistentvolumeclaims', claim('x'));
    const change = (spec: object) =>
      client.patch('persistentvolumeclaims', { namespace: 'default', name: 'x' }, { spec }, MERGE);
    const fixed =
      /spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims/;
    assert.match(String(await rejects(change({ accessModes: ['ReadOnlyMany'] }))), fixed);
    assert.match(
      String(await rejects(change({ resources: { requests: { storage: '2Gi' } } }))),
      /Forbidden/i,
    );
    assert.is(made.spec?.volumeMode, 'Filesystem');
  });
});
