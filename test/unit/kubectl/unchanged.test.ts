/** What `kubectl apply` calls unchanged. */

import * as assert from 'uvu/assert';
import { isUnchanged } from '../../../pkg/kubectl/unchanged.ts';
import { suite } from '../../harness/suite.ts';

const MANIFEST = {
  kind: 'Deployment',
  metadata: { name: 'web', annotations: { applied: 'replicas: 2' } },
  spec: { replicas: 2, template: { containers: [{ name: 'c' }] } },
  status: { replicas: 7 },
};
const BEFORE = {
  kind: 'Deployment',
  metadata: { name: 'web', resourceVersion: '1', annotations: { applied: 'replicas: 2' } },
  spec: { replicas: 2, template: { containers: [{ name: 'c', image: 'a' }] }, paused: false },
  status: { replicas: 0 },
};

suite('kubectl apply: unchanged', ({ test }) => {
  test('what controllers do meanwhile is no change', () => {
    const metadata = { ...BEFORE.metadata, resourceVersion: '5' };
    const annotations = { ...metadata.annotations, revision: '1' };
    const after = { ...BEFORE, metadata: { ...metadata, annotations }, status: { replicas: 2 } };
    assert.is(isUnchanged(BEFORE, after, MANIFEST), true);
  });

  test('what the manifest says or has said is one', () => {
    const spec = { ...BEFORE.spec, replicas: 3 };
    assert.is(isUnchanged({ ...BEFORE, spec }, BEFORE, MANIFEST), false, 'a value');
    const template = { containers: [{ name: 'c', image: 'b' }] };
    const other = { ...BEFORE, spec: { ...BEFORE.spec, template } };
    assert.is(isUnchanged(BEFORE, other, MANIFEST), false, 'within a list');
    const { spec: _, ...without } = BEFORE;
    assert.is(isUnchanged(without, BEFORE, MANIFEST), false, 'what was not there');
    const metadata = { ...BEFORE.metadata, annotations: { applied: 'replicas: 2, paused: false' } };
    assert.is(isUnchanged({ ...BEFORE, metadata }, BEFORE, MANIFEST), false, 'what it said before');
  });
});
