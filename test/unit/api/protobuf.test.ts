/** The protobuf codec: bytes that kubectl 1.35.2 sent, and every type of the table there and back. */
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { decodeObject } from '../../../pkg/api/decode.ts';
import { StatusError } from '../../../pkg/api/errors.ts';
import { decodeProtobuf, encodeProtobuf } from '../../../pkg/api/protobuf.ts';
import { typeOfKind, typeSchema } from '../../../pkg/api/schema.ts';
import { suite } from '../../harness/suite.ts';
import { sampleOf, typesWithKind } from './samples.ts';

interface Recorded {
  readonly command: string;
  readonly hex: string;
  readonly object: { readonly apiVersion: string; readonly kind: string };
}

const recorded = JSON.parse(
  readFileSync(new URL('fixtures/kubectl-bodies.json', import.meta.url), 'utf8'),
) as readonly Recorded[];

function refusal(work: () => unknown): StatusError {
  try {
    work();
  } catch (error) {
    assert.instance(error, StatusError);
    return error as StatusError;
  }
  throw new Error('Expected a refusal');
}

suite('protobuf', ({ test }) => {
  for (const { command, hex, object } of recorded) {
    test(`decodes the body of ${command}`, () => {
      const decoded = decodeProtobuf(Buffer.from(hex, 'hex'));
      assert.equal(decoded, object);
      const type = typeOfKind(object.apiVersion, object.kind) ?? '';
      const canonical = decodeObject(type, decoded, 'Strict').object;
      const again = decodeProtobuf(encodeProtobuf(canonical));
      assert.equal(decodeObject(type, again, 'Strict').object, canonical);
    });
  }

  test('carries every field of every kind there and back', () => {
    const types = typesWithKind();
    assert.ok(types.length > 100, `only ${types.length} kinds`);
    for (const type of types) {
      const object = sampleOf(typeSchema(type));
      assert.equal(decodeProtobuf(encodeProtobuf(object)), object, type);
    }
  });

  test('decodes the DeleteOptions that helm sends', () => {
    const hex = '6b3873000a130a027631120d44656c6574654f7074696f6e7312001a002200';
    assert.equal(decodeProtobuf(Buffer.from(hex, 'hex')), {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
    });
  });

  test('writes JSON schemas of CRDs in all their forms', () => {
    const schema = {
      type: 'object',
      additionalProperties: false,
      required: ['a'],
      default: { a: [1, null] },
      enum: ['x', 1],
      maximum: 1.5,
      minLength: 0,
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-list-map-keys': ['k'],
      items: { type: 'string' },
      properties: { a: { items: [{ type: 'string' }, { type: 'integer' }] } },
      dependencies: { b: ['c', 'd'], e: { type: 'object' } },
    };
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      spec: {
        group: 'g',
        names: { plural: 'p', kind: 'K' },
        scope: 'Namespaced',
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: schema },
            subresources: { status: {} },
          },
        ],
      },
    };
    assert.equal(decodeProtobuf(encodeProtobuf(crd)), crd);
  });

  test('keeps times before 1970 and fractions of a second', () => {
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { creationTimestamp: '1969-12-31T23:59:59Z' },
      spec: { renewTime: '2026-01-02T03:04:05.000001Z' },
    };
    assert.equal(decodeProtobuf(encodeProtobuf(lease)), lease);
  });

  test('skips fields it does not know', () => {
    const body = encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'b' } });
    // A field 99 of type string after the envelope's own.
    const longer = Buffer.concat([body, Buffer.from('9a060178', 'hex')]);
    assert.equal(decodeProtobuf(longer), { apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'b' } });
  });

  test('refuses bytes without the envelope, cut bodies and unknown kinds', () => {
    assert.is(refusal(() => decodeProtobuf(Buffer.from('{}'))).code, 400);
    const body = encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'b' } });
    assert.is(refusal(() => decodeProtobuf(body.subarray(0, body.length - 6))).code, 400);
    const unknown = Buffer.concat([
      Buffer.from('6b387300', 'hex'),
      Buffer.from('0a070a01761202' + '4b4b', 'hex'),
    ]);
    const error = refusal(() => decodeProtobuf(unknown));
    assert.is(error.message, 'no kind "KK" is registered for version "v"');
  });

  test('says that a kind without protobuf form is not acceptable', () => {
    const table = { apiVersion: 'meta.k8s.io/v1', kind: 'Table', rows: [] };
    assert.is(refusal(() => encodeProtobuf(table)).code, 406);
  });

  test('refuses messages nested without end', () => {
    let schema: object = {};
    for (let depth = 0; depth < 250; depth += 1) schema = { not: schema };
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      spec: { versions: [{ schema: { openAPIV3Schema: schema } }] },
    };
    assert.match(refusal(() => decodeProtobuf(encodeProtobuf(crd))).message, /nested deeper/);
  });
});
