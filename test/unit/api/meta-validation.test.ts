/** Metadata of objects: names, labels, owners, finalizers, and Kubernetes's own sentences about them. */

import * as assert from 'uvu/assert';
import { invalid } from '../../../pkg/api/errors.ts';
import type { ApiObject, ObjectMeta } from '../../../pkg/api/meta.ts';
import { validateMeta, validateMetaUpdate } from '../../../pkg/api/meta-validation.ts';
import {
  configKey,
  dns1035Label,
  dnsLabel,
  envName,
  pathSegmentName,
  portName,
  qualifiedName,
} from '../../../pkg/api/names.ts';
import { suite } from '../../harness/suite.ts';

function object(metadata: Partial<ObjectMeta>): ApiObject {
  const base = {
    name: 'x',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: 't',
  };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...base, ...metadata } };
}

const NAMESPACED = { namespaced: true };

function messages(metadata: Partial<ObjectMeta>): readonly string[] {
  return validateMeta(object(metadata), NAMESPACED).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

suite('metadata validation', ({ test }) => {
  test('words a bad name as kubectl users know it', () => {
    const causes = validateMeta(object({ name: 'My_Map' }), NAMESPACED);
    assert.is(
      invalid({ kind: 'ConfigMap', group: '' }, 'My_Map', causes).message,
      "ConfigMap \"My_Map\" is invalid: metadata.name: Invalid value: \"My_Map\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    );
  });

  test('finds what is wrong and leaves the rest alone', () => {
    assert.equal(messages({}), []);
    assert.equal(
      messages({
        labels: { 'example.com/a': 'b', c: '' },
        finalizers: ['foregroundDeletion', 'a.b/c'],
      }),
      [],
    );
    assert.equal(messages({ name: '' }), [
      'metadata.name: Required value: name or generateName is required',
    ]);
    assert.equal(messages({ generateName: 'web-' }), []);
    assert.match(
      messages({ labels: { a: 'b c' } })[0] ?? '',
      /^metadata.labels: Invalid value: "b c": a valid label must be/,
    );
    assert.match(
      messages({ labels: { 'a b': 'c' } })[0] ?? '',
      /^metadata.labels: Invalid value: "a b": name part must/,
    );
    assert.equal(messages({ annotations: { a: 'x'.repeat(262_144) } }), [
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ]);
    assert.equal(messages({ finalizers: ['mine'] }), [
      'metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
    ]);
    assert.equal(
      messages({ ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '' }] }),
      ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
    );
  });

  test('refuses a namespace where there is none and asks for one where there is', () => {
    assert.is(
      validateMeta(object({}), { namespaced: false })[0]?.message,
      'Forbidden: not allowed on this type',
    );
    assert.is(messages({ namespace: '' })[0], 'metadata.namespace: Required value');
  });

  test('keeps identity and, while being deleted, finalizers', () => {
    const old = object({ deletionTimestamp: 'now', finalizers: ['a.b/c'] });
    assert.equal(validateMetaUpdate(old, old), []);
    assert.is(
      validateMetaUpdate(
        object({ deletionTimestamp: 'now', finalizers: ['a.b/c', 'a.b/d'] }),
        old,
      )[0]?.message,
      'Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/d"}',
    );
    assert.is(
      validateMetaUpdate(object({ uid: 'v' }), object({}))[0]?.message,
      'Invalid value: "v": field is immutable',
    );
  });

  test('tells valid names from invalid ones', () => {
    const cases: readonly [
      (value: string) => readonly string[],
      readonly string[],
      readonly string[],
    ][] = [
      [dnsLabel, ['a', 'a-1', '1a', 'x'.repeat(63)], ['', 'A', 'a.b', '-a', 'a-', 'x'.repeat(64)]],
      [dns1035Label, ['a', 'a1'], ['1a', '']],
      [
        qualifiedName,
        ['a', 'A.b_c-1', 'example.com/a'],
        ['', '/a', 'a/', 'a/b/c', 'Example/a', 'a b'],
      ],
      [configKey, ['a', '.a', 'A_b-1'], ['..', '.', 'a b', '', '..a']],
      [envName, ['A', 'a.b-c', '1A'], ['', 'a=b', 'ä']],
      [portName, ['http', 'a-1'], ['', '80', 'a--b', '-a', 'HTTP', 'x'.repeat(16)]],
      [pathSegmentName, ['system:node', 'A b'], ['.', '..', 'a/b', 'a%b']],
    ];
    for (const [check, valid, wrong] of cases) {
      for (const name of valid) assert.equal(check(name), [], name);
      for (const name of wrong) assert.ok(check(name).length > 0, name);
    }
  });
});
