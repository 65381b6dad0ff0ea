/** Pods go where their volumes can be, and volumes are made where their pods go: real API server, controllers, scheduler. */

import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import {
  at,
  claim,
  gone,
  on,
  reasonOf,
  startVolumes,
  storageClass,
  told,
  user,
  using,
  volume,
} from './volume-objects.ts';

suite('volumes and pods', ({ test, cleanup }) => {
  test('a class that waits gets a volume on the node of the first pod, and all its pods go there', async () => {
    const { make, bound, podWhen, volumeWhen, plane } = await startVolumes(cleanup);
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
    const { make, plane } = await startVolumes(cleanup);
    await make(
      storageClass('local-path'),
      storageClass('now', { volumeBindingMode: 'Immediate' }),
      storageClass('nobody', { provisioner: 'example.org/none', volumeBindingMode: 'Immediate' }),
      claim('many', { storageClassName: 'local-path', accessModes: ['ReadWriteMany'] }),
      claim('hasty', { storageClassName: 'now' }),
      claim('typo', { storageClassName: 'local-pth' }),
      claim('foreign', { storageClassName: 'nobody' }),
      claim('golden', { storageClassName: 'local-path', volumeAttributesClassName: 'gold' }),
      using('a', 'many'),
      using('b', 'golden'),
    );
    await told(
      plane,
      'many',
      /^ProvisioningFailed .* access modes ReadWriteOnce and ReadWriteOncePod only$/,
    );
    await told(plane, 'golden', /^ProvisioningFailed .*a VolumeAttributesClass is not supported$/);
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
    const { make, bound, podWhen } = await startVolumes(cleanup);
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
      /^0\/2 nodes are available: 2 node\(s\) didn't find available persistent volumes to bind\. no new claims to deallocate, preemption/,
    );
  });

  test('pods wait with the reason: no claim, not bound, being deleted, another node, another pod', async () => {
    const { client, make, bound, podWhen, volumeWhen } = await startVolumes(cleanup);
    const why = async (name: string, pattern: RegExp) => {
      await podWhen(name, (pod) => pattern.test(reasonOf(pod)));
    };
    await make(using('none', 'missing'), claim('unbound'), using('early', 'unbound'));
    await why(
      'none',
      /persistentvolumeclaim "missing" not found\. no new claims to deallocate, preemption/,
    );
    await why(
      'early',
      /pod has unbound immediate PersistentVolumeClaims\. no new claims to deallocate, preemption/,
    );
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
    // Its volume goes away by force before the binder has told the claim.
    await make(volume('v4'), claim('robbed', { volumeName: 'v4' }));
    await bound('robbed');
    await client.remove('persistentvolumes', { name: 'v4' });
    const force = { metadata: { finalizers: null } };
    await client.patch('persistentvolumes', { name: 'v4' }, force, { type: 'merge' });
    await make(using('late', 'robbed'));
    await why(
      'late',
      /bound to non-existent pv\(s\)|"robbed" bound to non-existent persistentvolume "v4"/,
    );
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
    const { client, make, bound, podWhen, plane } = await startVolumes(cleanup);
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
});
