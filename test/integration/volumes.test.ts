/** Claims find their volumes and keep them, and what becomes of both: real API server and controllers. */

import * as assert from 'uvu/assert';
import type { ApiObject } from '../../pkg/api/meta.ts';
import { suite } from '../harness/suite.ts';
import { eventually } from './control-plane.ts';
import { at, claim, gone, startVolumes, storageClass, told, volume } from './volume-objects.ts';

suite('volumes and claims', ({ test, cleanup }) => {
  test('a claim gets the smallest volume that does: by size, modes, class, selector', async () => {
    const { make, bound, claimWhen, volumeWhen, plane } = await startVolumes(cleanup);
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
    const { make, bound, claimWhen, volumeWhen, plane } = await startVolumes(cleanup);
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
    const { client, make, bound, claimWhen, volumeWhen, plane } = await startVolumes(cleanup);
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
    const { make, claimWhen, plane } = await startVolumes(cleanup);
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

  test('a class of attributes stays while a claim or a volume names it, and must be the same for both', async () => {
    const { client, make, bound, plane } = await startVolumes(cleanup);
    const gold = { volumeAttributesClassName: 'gold' };
    await make(
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'VolumeAttributesClass',
        metadata: { name: 'gold' },
        driverName: 'd.example.org',
        parameters: { iops: '1' },
      },
      volume('fast', gold),
      volume('slow'),
      claim('wants', gold),
      claim('named', { volumeName: 'slow', ...gold }),
    );
    assert.is((await bound('wants')).spec?.volumeName, 'fast');
    await told(
      plane,
      'named',
      /^VolumeMismatch Cannot bind to requested volume "slow": volumeAttributesClassName does not match$/,
    );
    await client.remove('volumeattributesclasses', { name: 'gold' });
    const kept = await client.get<ApiObject>('volumeattributesclasses', { name: 'gold' });
    assert.equal(kept.metadata.finalizers, ['kubernetes.io/vac-protection']);
    for (const name of ['named', 'wants']) await client.remove('persistentvolumeclaims', at(name));
    await gone(plane, 'persistentvolumeclaims', 'wants');
    assert.ok((await client.get<ApiObject>('volumeattributesclasses', { name: 'gold' })).metadata);
    await client.remove('persistentvolumes', { name: 'fast' });
    await eventually(() =>
      client.get('volumeattributesclasses', { name: 'gold' }).then(
        () => false,
        () => true,
      ),
    );
  });
});
