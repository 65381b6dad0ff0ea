/** Claims, volumes and the pods that wait for them: real API server, controllers and scheduler; played nodes. */

import * as assert from 'uvu/assert';
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
import { claimProtection, volumeProtection } from '../../pkg/controllers/volume-protection.ts';
import { rejects, suite } from '../harness/suite.ts';
import { type ControlPlane, eventually, startControlPlane } from './control-plane.ts';

const CONTROLLERS = [
  volumeBinder,
  claimProtection,
  volumeProtection,
  volumeExpand,
  ephemeralVolume,
  localPath,
  garbageCollector,
];

function storageClass(name: string, options: object = {}) {
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

function claim(name: string, spec: object = {}) {
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

function volume(name: string, spec: object = {}) {
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

function on(node: string) {
  const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }];
  return { required: { nodeSelectorTerms: [{ matchExpressions }] } };
}

function user(name: string, volumes: readonly object[]) {
  const containers = [{ name: 'c', image: 'i' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name },
    spec: { containers, volumes },
  };
}

function using(name: string, ...claims: readonly string[]) {
  const volumes = claims.map((claimName) => ({
    name: claimName,
    persistentVolumeClaim: { claimName },
  }));
  return user(name, volumes);
}

const at = (name: string) => ({ namespace: 'default', name });

suite('volumes on a control plane', ({ test, cleanup }) => {
  async function start() {
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

  test('a claim gets the smallest volume that does: by size, modes, class, selector', async () => {
    const { make, bound, claimWhen, volumeWhen, plane } = await start();
    await make(
      volume('big', { capacity: { storage: '9Gi' } }),
      volume('fit', { capacity: { storage: '2Gi' } }),
      volume('small', { capacity: { storage: '500Mi' } }),
      volume('shared', { accessModes: ['ReadWriteMany'] }),
      volume('block', { volumeMode: 'Block' }),
      volume('classy', { storageClassName: 'gold' }),
    );
    await volumeWhen('fit', ({ status }) => status?.phase === 'Available');
    await make(claim('one'));
    const one = await bound('one');
    assert.is(one.spec?.volumeName, 'fit');
    assert.equal(one.status?.capacity, { storage: '2Gi' });
    assert.equal(one.status?.accessModes, ['ReadWriteOnce']);
    assert.is(one.metadata.annotations?.['pv.kubernetes.io/bind-completed'], 'yes');
    const fit = await volumeWhen('fit', ({ status }) => status?.phase === 'Bound');
    assert.is(fit.spec?.claimRef?.uid, one.metadata.uid);
    await make(
      claim('gold', { storageClassName: 'gold' }),
      claim('raw', { volumeMode: 'Block' }),
      claim('many', { accessModes: ['ReadWriteMany'] }),
      claim('picky', { selector: { matchLabels: { name: 'none' } } }),
    );
    assert.is((await bound('gold')).spec?.volumeName, 'classy');
    assert.is((await bound('raw')).spec?.volumeName, 'block');
    assert.is((await bound('many')).spec?.volumeName, 'shared');
    await told(
      plane,
      'picky',
      /^FailedBinding no persistent volumes available for this claim and no storage class is set$/,
    );
    await make(volume('late', { capacity: { storage: '1Gi' } }));
    await plane.client.patch(
      'persistentvolumes',
      { name: 'late' },
      { metadata: { labels: { name: 'none' } } },
      { type: 'merge' },
    );
    await claimWhen('picky', ({ spec }) => spec?.volumeName === 'late');
  });

  test('volumes and claims can choose each other by name, and only when they suit', async () => {
    const { make, bound, claimWhen, volumeWhen, plane } = await start();
    await make(
      volume('promised', { claimRef: { namespace: 'default', name: 'heir' } }),
      volume('wanted', { capacity: { storage: '5Gi' } }),
      volume('narrow', { capacity: { storage: '1Mi' } }),
    );
    await make(
      claim('chooser', { volumeName: 'wanted' }),
      claim('greedy', { volumeName: 'narrow' }),
    );
    assert.is((await bound('chooser')).spec?.volumeName, 'wanted');
    await told(
      plane,
      'greedy',
      /^VolumeMismatch Cannot bind to requested volume "narrow": requested PV is too small$/,
    );
    await make(claim('late', { volumeName: 'wanted' }));
    await told(
      plane,
      'late',
      /^FailedBinding volume "wanted" already bound to a different claim\.$/,
    );
    assert.is((await claimWhen('late', () => true)).status?.phase, 'Pending');
    await make(claim('heir'));
    assert.is((await bound('heir')).spec?.volumeName, 'promised');
    await volumeWhen('promised', ({ status }) => status?.phase === 'Bound');
  });

  test('a released volume stays, fails or waits for its provisioner; a lost one loses its claim', async () => {
    const { client, make, bound, claimWhen, volumeWhen, plane } = await start();
    for (const policy of ['Retain', 'Delete', 'Recycle']) {
      const name = policy.toLowerCase();
      await make(
        volume(name, { persistentVolumeReclaimPolicy: policy }),
        claim(name, { volumeName: name }),
      );
      await bound(name);
      await client.remove('persistentvolumeclaims', at(name));
      const phase = policy === 'Retain' ? 'Released' : 'Failed';
      await volumeWhen(name, ({ status }) => status?.phase === phase);
    }
    const failed = await volumeWhen('recycle', () => true);
    assert.match(failed.status?.message ?? '', /Recycling is not supported/);
    await make(volume('lost'), claim('loser', { volumeName: 'lost' }));
    await bound('loser');
    // Protection keeps a bound volume: only who takes it away by force loses it.
    await client.remove('persistentvolumes', { name: 'lost' });
    const kept = await volumeWhen(
      'lost',
      ({ metadata }) => metadata.deletionTimestamp !== undefined,
    );
    assert.equal(kept.metadata.finalizers, ['kubernetes.io/pv-protection']);
    await client.patch(
      'persistentvolumes',
      { name: 'lost' },
      { metadata: { finalizers: null } },
      { type: 'merge' },
    );
    await claimWhen('loser', ({ status }) => status?.phase === 'Lost');
    await told(plane, 'loser', /^ClaimLost Bound claim has lost its PersistentVolume/);
  });

  test('the default class comes to new claims at once and to waiting ones afterwards', async () => {
    const { make, claimWhen, plane } = await start();
    const plain = (name: string) => claim(name, { storageClassName: undefined });
    await make(plain('early'));
    await told(plane, 'early', /^FailedBinding /);
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await make(storageClass('std', { metadata: { name: 'std', annotations } }));
    await claimWhen('early', ({ spec }) => spec?.storageClassName === 'std');
    await make(plain('new'));
    assert.is((await claimWhen('new', () => true)).spec?.storageClassName, 'std');
    await told(
      plane,
      'new',
      /^WaitForFirstConsumer waiting for first consumer to be created before binding$/,
    );
  });

  test('a class that waits gets a volume on the node of the first pod, and all its pods go there', async () => {
    const { make, bound, podWhen, volumeWhen, plane } = await start();
    await make(storageClass('local-path'), claim('data', { storageClassName: 'local-path' }));
    await told(plane, 'data', /^WaitForFirstConsumer/);
    await make(using('first', 'data'));
    const { spec } = await podWhen('first', ({ spec: { nodeName } }) => nodeName !== undefined);
    const data = await bound('data');
    assert.is(data.metadata.annotations?.['volume.kubernetes.io/selected-node'], spec.nodeName);
    const made = await volumeWhen(`pvc-${data.metadata.uid}`, () => true);
    assert.is(
      made.spec?.local?.path,
      `/data/${spec.nodeName}/pvc-${data.metadata.uid}_default_data`,
    );
    assert.equal(made.spec?.nodeAffinity, on(spec.nodeName ?? ''));
    assert.is(made.spec?.persistentVolumeReclaimPolicy, 'Delete');
    assert.equal([...(made.metadata.finalizers ?? [])].sort(), [
      'kubernetes.io/pv-protection',
      'mini/local-path',
    ]);
    await told(
      plane,
      'data',
      /^ExternalProvisioning Waiting for a volume to be created either by the external provisioner 'mini\/local-path'/,
    );
    await told(plane, 'data', /^ProvisioningSucceeded Successfully provisioned volume pvc-/);
    for (const name of ['second', 'third', 'fourth']) {
      await make(using(name, 'data'));
      const pod = await podWhen(name, (found) => found.spec.nodeName !== undefined);
      assert.is(pod.spec.nodeName, spec.nodeName);
    }
  });

  test('what the provisioner cannot do it says on the claim', async () => {
    const { make, plane } = await start();
    await make(
      storageClass('local-path'),
      storageClass('now', { volumeBindingMode: 'Immediate' }),
      storageClass('nobody', { provisioner: 'example.org/none', volumeBindingMode: 'Immediate' }),
      claim('many', { storageClassName: 'local-path', accessModes: ['ReadWriteMany'] }),
      claim('raw', { storageClassName: 'local-path', volumeMode: 'Block' }),
      claim('hasty', { storageClassName: 'now' }),
      claim('typo', { storageClassName: 'local-pth' }),
      claim('foreign', { storageClassName: 'nobody' }),
      using('a', 'many'),
      using('b', 'raw'),
    );
    await told(
      plane,
      'many',
      /^ProvisioningFailed .* access modes ReadWriteOnce and ReadWriteOncePod only$/,
    );
    await told(plane, 'raw', /^ProvisioningFailed .*block volumes are not supported/);
    await told(
      plane,
      'hasty',
      /^ProvisioningFailed .*needs volumeBindingMode WaitForFirstConsumer$/,
    );
    await told(
      plane,
      'typo',
      /^ProvisioningFailed storageclass.storage.k8s.io "local-pth" not found$/,
    );
    await told(plane, 'foreign', /^ExternalProvisioning .*'example.org\/none'/);
  });

  test('static volumes of a class that waits are taken where the pod can go', async () => {
    const { make, bound, podWhen } = await start();
    const provisioner = 'kubernetes.io/no-provisioner';
    const pinned = (name: string, node: string) =>
      volume(name, {
        storageClassName: 'disks',
        nodeAffinity: on(node),
        local: { path: `/${name}` },
        hostPath: undefined,
      });
    await make(
      storageClass('disks', { provisioner }),
      pinned('d1', 'node2'),
      pinned('d2', 'node2'),
      claim('a', { storageClassName: 'disks' }),
      claim('b', { storageClassName: 'disks' }),
      claim('c', { storageClassName: 'disks' }),
      using('pair', 'a', 'b'),
    );
    assert.is(
      (await podWhen('pair', ({ spec }) => spec.nodeName !== undefined)).spec.nodeName,
      'node2',
    );
    const names = [await bound('a'), await bound('b')].map(({ spec }) => spec?.volumeName ?? '');
    assert.equal(names.sort(), ['d1', 'd2']);
    await make(using('lonely', 'c'));
    const message = reasonOf(await podWhen('lonely', (pod) => reasonOf(pod) !== ''));
    assert.match(
      message,
      /^0\/2 nodes are available: 2 node\(s\) didn't find available persistent volumes to bind\. preemption/,
    );
  });

  test('pods wait with the reason: no claim, not bound, being deleted, another node, another pod', async () => {
    const { client, make, bound, podWhen, volumeWhen } = await start();
    const why = async (name: string, pattern: RegExp) => {
      await podWhen(name, (pod) => pattern.test(reasonOf(pod)));
    };
    await make(using('none', 'missing'), claim('unbound'), using('early', 'unbound'));
    await why('none', /persistentvolumeclaim "missing" not found\. preemption/);
    await why('early', /pod has unbound immediate PersistentVolumeClaims\. preemption/);
    await make(
      volume('v1', { nodeAffinity: on('node1') }),
      volume('v2', { nodeAffinity: on('node2'), accessModes: ['ReadWriteOncePod'] }),
      claim('one', { volumeName: 'v1' }),
      claim('own', { volumeName: 'v2', accessModes: ['ReadWriteOncePod'] }),
    );
    await Promise.all([bound('one'), bound('own')]);
    await make(using('torn', 'one', 'own'), using('first', 'own'));
    await why('torn', /2 node\(s\) didn't match PersistentVolume's node affinity/);
    await podWhen('first', ({ spec }) => spec.nodeName === 'node2');
    await make(using('second', 'own'));
    await why(
      'second',
      /node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode/,
    );
    await client.remove('pods', at('first'), { gracePeriodSeconds: 0 });
    await podWhen('second', ({ spec }) => spec.nodeName === 'node2');
    // A claim in use stays until its pod is gone.
    await client.remove('persistentvolumeclaims', at('own'));
    await make(using('third', 'own'));
    await why('third', /persistentvolumeclaim "own" is being deleted/);
    await client.remove('pods', at('second'), { gracePeriodSeconds: 0 });
    await volumeWhen('v2', ({ status }) => status?.phase === 'Released');
    await make(volume('v3'));
    await podWhen('early', ({ spec }) => spec.nodeName !== undefined);
  });

  test('an ephemeral volume gets a claim of the pod, which goes with it; a foreign one is refused', async () => {
    const { client, make, bound, podWhen, plane } = await start();
    const template = (labels: object) => ({
      metadata: { labels },
      spec: claim('', { storageClassName: 'local-path' }).spec,
    });
    const scratch = { name: 'scratch', ephemeral: { volumeClaimTemplate: template({ a: 'b' }) } };
    await make(
      storageClass('local-path'),
      user('own', [scratch]),
      claim('thief-scratch'),
      user('thief', [scratch]),
    );
    const pod = await podWhen('own', ({ spec }) => spec.nodeName !== undefined);
    const made = await bound('own-scratch');
    assert.equal(made.metadata.labels, { a: 'b' });
    assert.is(made.metadata.ownerReferences?.[0]?.uid, pod.metadata.uid);
    const foreign =
      /PVC default\/thief-scratch was not created for pod default\/thief \(pod is not owner\)/;
    await podWhen('thief', (found) => foreign.test(reasonOf(found)));
    await told(
      plane,
      'thief',
      new RegExp(`^FailedBinding ephemeral volume scratch: ${foreign.source}`),
    );
    await client.remove('pods', at('own'), { gracePeriodSeconds: 0 });
    await gone(plane, 'persistentvolumeclaims', 'own-scratch');
  });

  test('a claim grows when its class lets it: the volume first, then its node, then the claim', async () => {
    const { client, make, bound, claimWhen, volumeWhen, plane } = await start();
    const grow = (name: string, storage: string) =>
      client.patch(
        'persistentvolumeclaims',
        at(name),
        { spec: { resources: { requests: { storage } } } },
        { type: 'merge' },
      );
    await make(
      storageClass('local-path'),
      storageClass('fixed', { allowVolumeExpansion: false }),
      claim('data', { storageClassName: 'local-path' }),
      claim('stiff', { storageClassName: 'fixed' }),
      using('pod', 'data', 'stiff'),
    );
    const { metadata } = await bound('data');
    await bound('stiff');
    assert.match(
      String(await rejects(grow('stiff', '2Gi'))),
      /only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize/,
    );
    assert.match(
      String(await rejects(grow('data', '1Mi'))),
      /field can not be less than status.capacity/,
    );
    await grow('data', '2Gi');
    const name = `pvc-${metadata.uid}`;
    const wanted = await volumeWhen(name, ({ spec }) => spec?.capacity?.['storage'] === '2Gi');
    const waiting = await claimWhen(
      'data',
      ({ status }) => status?.conditions?.[0]?.type === 'FileSystemResizePending',
    );
    assert.equal(waiting.status?.capacity, { storage: '1Gi' });
    const annotations = { ...wanted.metadata.annotations, 'mini/bytes': String(2 * 1024 ** 3) };
    await client.patch(
      'persistentvolumes',
      { name },
      { metadata: { annotations } },
      { type: 'merge' },
    );
    const done = await claimWhen('data', ({ status }) => status?.capacity?.['storage'] === '2Gi');
    assert.is(done.status?.conditions, undefined);
    assert.is(done.status?.allocatedResourceStatuses, undefined);
    await told(
      plane,
      'data',
      /^FileSystemResizeSuccessful MountVolume.NodeExpandVolume succeeded for volume "pvc-/,
    );
  });
});

function resourceOf(object: object): string {
  const kind = 'kind' in object ? String(object.kind).toLowerCase() : '';
  return kind === 'storageclass' ? 'storageclasses' : `${kind}s`;
}

/** Why the scheduler has no node for the pod; empty when it has not said. */
function reasonOf({ status }: Pod): string {
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
async function told({ client }: ControlPlane, name: string, pattern: RegExp): Promise<void> {
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

async function gone({ client }: ControlPlane, resource: string, name: string): Promise<void> {
  await eventually(() =>
    client.get(resource, at(name)).then(
      () => false,
      () => true,
    ),
  );
}
