/** Which runtime a pod gets, and in which words the node says that it has none. */

import * as assert from 'uvu/assert';
import { handlerOf } from '../../../../pkg/agent/pod/runtime-handler.ts';
import type { Reference, References } from '../../../../pkg/agent/references.ts';
import type { Pod } from '../../../../pkg/api/generated/types.ts';
import { rejects, suite } from '../../../harness/suite.ts';

const CLASSES: Readonly<Record<string, object>> = {
  other: { handler: 'runc' },
  lame: { handler: 'lame' },
};

suite('agent/pod/runtime-handler', ({ test }) => {
  const asked: Reference[] = [];
  const references = {
    get: async (reference: Reference) => {
      asked.push(reference);
      return CLASSES[reference.ref.name];
    },
  } as unknown as References;
  const features = { recursiveReadOnlyMounts: true, userNamespaces: true };
  const handlers = [
    { name: 'runc', features },
    { name: 'lame', features: { ...features, userNamespaces: false } },
  ];
  const of = (spec: object) =>
    handlerOf(
      { references, handlers },
      { metadata: { name: 'p' }, spec } as Pod,
      AbortSignal.timeout(1000),
    );

  test('is its class’s, or the node’s own', async () => {
    assert.is(await of({}), undefined);
    assert.is(await of({ runtimeClassName: 'other', hostUsers: false }), 'runc');
    assert.is(await of({ runtimeClassName: 'lame' }), 'lame');
    const [first] = asked;
    assert.equal(first, { kind: 'runtimeclasses', ref: { name: 'other' } });
  });

  test('is refused when there is no class, or no user namespaces', async () => {
    assert.is(
      String(await rejects(of({ runtimeClassName: 'none' }))),
      'Error: runtimeclass.node.k8s.io "none" not found',
    );
    assert.is(
      String(await rejects(of({ runtimeClassName: 'lame', hostUsers: false }))),
      'Error: RuntimeClass handler "lame" does not support user namespaces',
    );
  });
});
