/** What the store is given to keep. */

import * as assert from 'uvu/assert';
import { rowOf, Storage } from '../../../pkg/apiserver/storage.ts';
import { openMemory } from '../../../pkg/store/memory.ts';
import { suite } from '../../harness/suite.ts';

suite('storage', ({ test, cleanup }) => {
  test('a stored object keeps no memory but its own', async () => {
    const store = openMemory();
    cleanup(() => store.close());
    const storage = new Storage(store);
    await storage.create(rowOf('configmaps'), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'ü',
        namespace: 'a',
        uid: 'u',
        resourceVersion: '',
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
    });
    const [item] = storage.list(rowOf('configmaps'), 'a').items;
    assert.is(JSON.parse(String(item?.value)).metadata.name, 'ü');
    assert.is(item?.value.buffer.byteLength, item?.value.length);
  });
});
