/** JSON, merge and strategic merge patches: each case is an object, a patch and what must come out. */
import * as assert from 'uvu/assert';
import { StatusError } from '../../../pkg/api/errors.ts';
import { applyPatch, type PatchKind } from '../../../pkg/api/patch.ts';
import { suite } from '../../harness/suite.ts';

const POD = 'io.k8s.api.core.v1.Pod';
const DEPLOYMENT = 'io.k8s.api.apps.v1.Deployment';
const SERVICE = 'io.k8s.api.core.v1.Service';
const BUDGET = 'io.k8s.api.policy.v1.PodDisruptionBudget';

interface Case {
  readonly does: string;
  readonly type?: string;
  readonly object: object;
  readonly patch: unknown;
  readonly result: object;
}

function pod(...containers: readonly object[]): object {
  return { spec: { containers } };
}

const A = { name: 'a', image: '1' };
const B = { name: 'b', image: '2' };
const C = { name: 'c', image: '3' };

const STRATEGIC: readonly Case[] = [
  {
    does: 'merges list items by merge key',
    object: pod(A, B),
    patch: pod({ name: 'b', image: '9' }),
    result: pod(A, { name: 'b', image: '9' }),
  },
  {
    does: 'appends items that are new',
    object: pod(A),
    patch: pod(C),
    // Without an order, what the patch names comes first unless the server had it later.
    result: pod(C, A),
  },
  {
    does: 'orders by $setElementOrder and leaves the server its own items',
    object: pod(A, B),
    patch: {
      spec: { '$setElementOrder/containers': [{ name: 'a' }, { name: 'c' }], containers: [C] },
    },
    result: pod(A, C, B),
  },
  {
    does: 'reorders by $setElementOrder alone',
    object: pod(A, B),
    patch: { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
    result: pod(B, A),
  },
  {
    does: 'deletes items with $patch: delete',
    object: pod(A, B, C),
    patch: pod({ $patch: 'delete', name: 'b' }),
    result: pod(A, C),
  },
  {
    does: 'replaces a list with $patch: replace',
    object: pod(A, B),
    patch: pod(C, { $patch: 'replace' }),
    result: pod(C),
  },
  {
    does: 'replaces an object with $patch: replace',
    object: { metadata: { labels: { a: '1', b: '2' } } },
    patch: { metadata: { labels: { $patch: 'replace', c: '3' } } },
    result: { metadata: { labels: { c: '3' } } },
  },
  {
    does: 'empties an object with $patch: delete',
    object: { metadata: { labels: { a: '1' } } },
    patch: { metadata: { labels: { $patch: 'delete' } } },
    result: { metadata: { labels: {} } },
  },
  {
    does: 'replaces one item with $patch: replace inside it',
    object: pod({ ...A, command: ['x'] }, B),
    patch: pod({ name: 'a', $patch: 'merge', image: '5' }),
    result: pod({ ...A, command: ['x'], image: '5', $patch: undefined }, B),
  },
  {
    does: 'removes keys with null, also in what it adds',
    object: { metadata: { labels: { a: '1' } } },
    patch: { metadata: { labels: { a: null, b: '2' }, annotations: { c: null, d: '4' } } },
    result: { metadata: { labels: { b: '2' }, annotations: { d: '4' } } },
  },
  {
    does: 'keeps only what $retainKeys names',
    type: DEPLOYMENT,
    object: { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
    patch: { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
    result: { spec: { strategy: { type: 'Recreate' } } },
  },
  {
    does: 'keeps only what $retainKeys names in an item',
    object: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    patch: {
      spec: {
        volumes: [{ name: 'v', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }],
      },
    },
    result: { spec: { volumes: [{ name: 'v', secret: { secretName: 's' } }] } },
  },
  {
    does: 'merges sets of primitives',
    object: { metadata: { finalizers: ['a', 'b'] } },
    patch: { metadata: { finalizers: ['b', 'c'] } },
    result: { metadata: { finalizers: ['a', 'b', 'c'] } },
  },
  {
    does: 'removes primitives with $deleteFromPrimitiveList',
    object: { metadata: { finalizers: ['a', 'b', 'c'] } },
    patch: {
      metadata: {
        '$deleteFromPrimitiveList/finalizers': ['b'],
        '$setElementOrder/finalizers': ['c', 'a'],
      },
    },
    result: { metadata: { finalizers: ['c', 'a'] } },
  },
  {
    does: 'replaces lists without merge strategy',
    object: { spec: { tolerations: [{ key: 'a' }], containers: [{ ...A, args: ['x', 'y'] }] } },
    patch: { spec: { tolerations: [{ key: 'b' }], containers: [{ name: 'a', args: ['z'] }] } },
    result: { spec: { tolerations: [{ key: 'b' }], containers: [{ ...A, args: ['z'] }] } },
  },
  {
    does: 'merges lists in lists',
    object: pod({ ...A, env: [{ name: 'X', value: '1' }] }),
    patch: pod({ name: 'a', env: [{ name: 'X', value: '2' }] }),
    result: pod({ ...A, env: [{ name: 'X', value: '2' }] }),
  },
  {
    does: 'replaces objects whose strategy is replace',
    type: BUDGET,
    object: { spec: { selector: { matchLabels: { a: '1' } } } },
    patch: { spec: { selector: { matchLabels: { b: '2' } } } },
    result: { spec: { selector: { matchLabels: { b: '2' } } } },
  },
  {
    does: 'tells items of one merge key apart by the keys of the list',
    type: SERVICE,
    object: {
      spec: {
        ports: [
          { name: 't', port: 53, protocol: 'TCP' },
          { name: 'u', port: 53, protocol: 'UDP' },
        ],
      },
    },
    patch: { spec: { ports: [{ port: 53, protocol: 'UDP', targetPort: 5353 }] } },
    result: {
      spec: {
        ports: [
          { name: 't', port: 53, protocol: 'TCP' },
          { name: 'u', port: 53, protocol: 'UDP', targetPort: 5353 },
        ],
      },
    },
  },
];

const MERGE: readonly Case[] = [
  {
    does: 'merges objects, replaces lists, removes nulls',
    object: { a: { b: 1, c: 2 }, list: [1, 2] },
    patch: { a: { b: null, d: { e: null, f: 1 } }, list: [3] },
    result: { a: { c: 2, d: { f: 1 } }, list: [3] },
  },
];

const JSON_PATCH: readonly Case[] = [
  {
    does: 'applies operations in order',
    object: { a: [1, 2], b: { 'x/y': 1 } },
    patch: [
      { op: 'test', path: '/a/0', value: 1 },
      { op: 'add', path: '/a/-', value: 3 },
      { op: 'remove', path: '/a/0' },
      { op: 'replace', path: '/b/x~1y', value: null },
      { op: 'copy', from: '/a', path: '/c' },
      { op: 'move', from: '/c', path: '/d' },
    ],
    result: { a: [2, 3], b: { 'x/y': null }, d: [2, 3] },
  },
];

function declare(
  { test }: { test: (name: string, body: () => void) => void },
  { kind, cases }: { kind: PatchKind; cases: readonly Case[] },
): void {
  for (const { does, type = POD, object, patch, result } of cases) {
    test(`${kind}: ${does}`, () => {
      const [objectBefore, patchBefore] = [JSON.stringify(object), JSON.stringify(patch)];
      const patched = applyPatch({ kind, type, object, patch });
      assert.is(JSON.stringify(patched), JSON.stringify(result));
      assert.is(JSON.stringify(object), objectBefore, 'the object was changed');
      assert.is(JSON.stringify(patch), patchBefore, 'the patch was changed');
    });
  }
}

const REFUSALS: readonly (readonly [string, PatchKind, unknown, number])[] = [
  ['a JSON patch that is no list', 'json', { op: 'add' }, 400],
  ['an operation that does not exist', 'json', [{ op: 'put', path: '/a', value: 1 }], 400],
  ['an operation without value', 'json', [{ op: 'add', path: '/a' }], 400],
  ['a path that is no pointer', 'json', [{ op: 'remove', path: 'a' }], 400],
  ['a test that fails', 'json', [{ op: 'test', path: '/spec', value: 1 }], 422],
  ['removal of what is not there', 'json', [{ op: 'remove', path: '/none' }], 422],
  ['a merge patch that is no object', 'merge', [], 400],
  ['a strategic patch that is no object', 'strategic', 'x', 400],
  ['an unknown directive', 'strategic', { $patch: 'explode' }, 400],
  ['an unknown directive in a list', 'strategic', pod({ $patch: 'explode', name: 'a' }), 400],
  ['an item without merge key', 'strategic', pod({ image: '1' }), 400],
  ['$retainKeys that lacks a key', 'strategic', { $retainKeys: [], spec: {} }, 400],
];

suite('patch', ({ test }) => {
  declare({ test }, { kind: 'strategic', cases: STRATEGIC });
  declare({ test }, { kind: 'merge', cases: MERGE });
  declare({ test }, { kind: 'json', cases: JSON_PATCH });

  for (const [what, kind, patch, code] of REFUSALS) {
    test(`${kind}: refuses ${what} with ${code}`, () => {
      try {
        applyPatch({ kind, type: POD, object: pod(A), patch });
      } catch (error) {
        assert.instance(error, StatusError);
        assert.is((error as StatusError).code, code);
        return;
      }
      assert.unreachable();
    });
  }

  test('json: refuses more than 10000 operations', () => {
    const patch = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: {} }));
    assert.throws(
      () => applyPatch({ kind: 'json', type: POD, object: {}, patch }),
      /maximum operations in a JSON patch is 10000/,
    );
  });

  test('json: refuses copies that grow without bound', () => {
    const copies = Array.from({ length: 40 }, (_, index) => ({
      op: 'copy',
      from: '/a',
      path: `/a/c${index}`,
    }));
    assert.throws(
      () => applyPatch({ kind: 'json', type: POD, object: { a: { b: 'text' } }, patch: copies }),
      (error: unknown) => error instanceof StatusError && error.code === 422,
    );
  });

  test('a patch cannot reach the prototype of objects', () => {
    const patch: unknown = JSON.parse('{"__proto__":{"polluted":true}}');
    for (const kind of ['merge', 'strategic'] as const) {
      applyPatch({ kind, type: POD, object: {}, patch });
    }
    assert.not('polluted' in {});
  });
});
