/** Claims that grow: real API server and controllers, a played node. */

import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { at, claim, gone, startVolumes, storageClass, told, using } from './volume-objects.ts';

suite('volumes that grow', ({ test, cleanup }) => {
  test('a claim grows when its class lets it: the volume first, then its node, then the claim', async () => {
    const { client, make, bound, claimWhen, volumeWhen, plane } = await startVolumes(cleanup);
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

  test('a device grows without anybody waiting for a pod', async () => {
    const { client, make, bound, claimWhen, volumeWhen, plane } = await startVolumes(cleanup);
    await make(
      storageClass('local-path'),
      claim('raw', {
        storageClassName: 'local-path',
        volumeMode: 'Block',
        resources: { requests: { storage: '1Mi' } },
      }),
      using('pod', 'raw'),
    );
    const { metadata, status } = await bound('raw');
    assert.equal(status?.capacity, { storage: '1Mi' });
    const ref = { name: `pvc-${metadata.uid}` };
    assert.is((await volumeWhen(ref.name, () => true)).spec?.volumeMode, 'Block');
    await client.patch('persistentvolumeclaims', at('raw'), asks('3Mi'), { type: 'merge' });
    await volumeWhen(ref.name, ({ spec }) => spec?.capacity?.['storage'] === '3Mi');
    const waiting = await claimWhen('raw', (found) => found.status?.conditions !== undefined);
    assert.equal(
      waiting.status?.conditions?.map(({ type }) => type),
      ['Resizing'],
    );
    const annotations = { 'mini/bytes': String(3 * 1024 ** 2) };
    await client.patch('persistentvolumes', ref, { metadata: { annotations } }, { type: 'merge' });
    const done = await claimWhen('raw', (found) => found.status?.capacity?.['storage'] === '3Mi');
    assert.is(done.status?.conditions, undefined);
    await told(plane, 'raw', /^VolumeResizeSuccessful Resize volume succeeded$/);
  });

  test('a claim may ask for less than its volume has, and take back what has not grown yet', async () => {
    const { client, make, bound, claimWhen, plane } = await startVolumes(cleanup);
    await make(
      storageClass('local-path'),
      claim('small', {
        storageClassName: 'local-path',
        resources: { requests: { storage: '1Mi' } },
      }),
      using('pod', 'small'),
    );
    assert.equal((await bound('small')).status?.capacity, { storage: '16777216' });
    const change = (patch: object) =>
      client.patch('persistentvolumeclaims', at('small'), patch, { type: 'merge' });
    await change({ metadata: { labels: { a: 'b' } } });
    await change(asks('1Gi'));
    await claimWhen('small', ({ status }) => status?.conditions !== undefined);
    await change(asks('17Mi'));
    assert.match(
      String(await rejects(change(asks('16Mi')))),
      /field can not be less than status.capacity/,
    );
    await client.remove('pods', at('pod'), { gracePeriodSeconds: 0 });
    await client.remove('persistentvolumeclaims', at('small'));
    await gone(plane, 'persistentvolumeclaims', 'small');
  });
});

const asks = (storage: string) => ({ spec: { resources: { requests: { storage } } } });
