/** Decoding of JSON bodies: types, unknown fields by mode, nulls, zero values, canonical scalars. */
import * as assert from 'uvu/assert';
import { decodeObject } from '../../../pkg/api/decode.ts';
import { StatusError } from '../../../pkg/api/errors.ts';
import { suite } from '../../harness/suite.ts';

const POD = 'io.k8s.api.core.v1.Pod';
const DEPLOYMENT = 'io.k8s.api.apps.v1.Deployment';

function refusal(type: string, value: unknown): string {
  try {
    decodeObject(type, value, 'Strict');
  } catch (error) {
    assert.ok(error instanceof StatusError);
    assert.is(error.code, 400);
    return error.message.replace(/^.* cannot be handled as a \w+: /, '');
  }
  throw new Error('Expected a refusal');
}

/** What is wrong with the body, and Kubernetes' words for it. */
const REFUSALS: readonly (readonly [string, unknown, string])[] = [
  [
    'a string for a list',
    { spec: { containers: 'x' } },
    'json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container',
  ],
  [
    'a number for a string inside a list',
    { spec: { containers: [{ name: 1 }] } },
    'json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string',
  ],
  [
    'a list for an object',
    { spec: [] },
    'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec',
  ],
  ['no object', 5, 'json: cannot unmarshal number into Go value of type v1.Pod'],
  [
    'a fraction for an integer',
    { spec: { priority: 1.5 } },
    'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32',
  ],
  [
    'an integer out of range',
    { spec: { priority: 2 ** 31 } },
    'json: cannot unmarshal number into Go struct field PodSpec.spec.priority of type int32',
  ],
  [
    'a string for a boolean',
    { spec: { hostNetwork: 'yes' } },
    'json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool',
  ],
  [
    'a number in labels',
    { metadata: { labels: { a: 1 } } },
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type string',
  ],
  [
    'a time that is none',
    { metadata: { creationTimestamp: 'now' } },
    'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
  ],
  [
    'unknown fields',
    { foo: 1, spec: { bar: 1, containers: [{}, { 'x.y': 1 }] } },
    'strict decoding error: unknown field "foo", unknown field "spec.bar", unknown field "spec.containers[1].x.y"',
  ],
];

suite('decode', ({ test }) => {
  for (const [what, value, words] of REFUSALS) {
    test(`refuses ${what}`, () => assert.is(refusal(POD, value), words));
  }

  test('names kind and version in refusals', () => {
    assert.throws(
      () => decodeObject(DEPLOYMENT, { spec: { replicas: 'x' } }, 'Ignore'),
      (error: unknown) =>
        error instanceof StatusError &&
        error.message ===
          'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    );
  });

  test('refuses base64 that is none', () => {
    const words = refusal('io.k8s.api.core.v1.Secret', { data: { a: 'a!b=' } });
    assert.is(words, 'illegal base64 data at input byte 1');
  });

  test('prunes unknown fields and warns of each in mode Warn', () => {
    const body = { spec: { nope: 1, containers: [] }, extra: {} };
    const { object, warnings } = decodeObject(POD, body, 'Warn');
    assert.equal(warnings, ['unknown field "spec.nope"', 'unknown field "extra"']);
    assert.equal(object['spec'], { containers: [] });
    assert.not('extra' in object);
  });

  test('prunes silently in mode Ignore', () => {
    assert.equal(decodeObject(POD, { extra: {} }, 'Ignore').warnings, []);
  });

  test('drops nulls, and leaves zero values for null items', () => {
    const body = {
      metadata: { creationTimestamp: null, labels: { a: null } },
      spec: { nodeSelector: null, containers: [null] },
    };
    const { object } = decodeObject(POD, body, 'Strict');
    assert.equal(object['metadata'], { labels: { a: '' } });
    assert.equal(object['spec'], { containers: [{ resources: {} }] });
  });

  test('drops zero values without meaning and keeps those of pointers', () => {
    const body = {
      metadata: { name: 'd', generateName: '', labels: {}, finalizers: [] },
      spec: { replicas: 0, paused: false, minReadySeconds: 0, revisionHistoryLimit: 0 },
    };
    const { object } = decodeObject(DEPLOYMENT, body, 'Strict');
    assert.equal(object['metadata'], { name: 'd' });
    const { replicas, paused, minReadySeconds, revisionHistoryLimit } = object['spec'] as Record<
      string,
      unknown
    >;
    assert.equal(
      [replicas, paused, minReadySeconds, revisionHistoryLimit],
      [0, undefined, undefined, 0],
    );
  });

  test('keeps an empty string where it means something', () => {
    const claim = { spec: { storageClassName: '', volumeName: '' } };
    const { object } = decodeObject('io.k8s.api.core.v1.PersistentVolumeClaim', claim, 'Strict');
    assert.equal(object['spec'], { storageClassName: '', resources: {} });
  });

  test('fills in apiVersion, kind and the objects that are always there', () => {
    assert.equal(decodeObject(DEPLOYMENT, {}, 'Strict').object, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {},
      spec: { template: { metadata: {}, spec: {} }, strategy: {} },
      status: {},
    });
  });

  test('writes quantities and times in their canonical form', () => {
    const body = {
      metadata: { creationTimestamp: '2026-01-02T05:04:05.5+02:00' },
      spec: { containers: [{ resources: { limits: { cpu: '1000m', memory: 1024 } } }] },
    };
    const { object } = decodeObject(POD, body, 'Strict');
    assert.equal(object['metadata'], { creationTimestamp: '2026-01-02T03:04:05Z' });
    assert.equal(object['spec'], {
      containers: [{ resources: { limits: { cpu: '1', memory: '1024' } } }],
    });
  });

  test('writes micro times with six digits', () => {
    const lease = { spec: { renewTime: '2026-01-02T03:04:05.12Z' } };
    const { object } = decodeObject('io.k8s.api.coordination.v1.Lease', lease, 'Strict');
    assert.equal(object['spec'], { renewTime: '2026-01-02T03:04:05.120000Z' });
  });

  test('takes int-or-string as either and keeps free JSON as it is', () => {
    const service = {
      spec: {
        ports: [
          { port: 1, targetPort: 'http' },
          { port: 2, targetPort: 3 },
        ],
      },
    };
    const { object } = decodeObject('io.k8s.api.core.v1.Service', service, 'Strict');
    assert.equal((object['spec'] as typeof service.spec).ports, service.spec.ports);
    const revision = { revision: 1, data: { any: [{ thing: null }] } };
    const decoded = decodeObject('io.k8s.api.apps.v1.ControllerRevision', revision, 'Strict');
    assert.equal(decoded.object['data'], revision.data);
  });

  test('takes "__proto__" as a key like any other', () => {
    const body: unknown = JSON.parse('{"metadata":{"labels":{"__proto__":"x"}},"__proto__":{}}');
    const { object, warnings } = decodeObject(POD, body, 'Warn');
    assert.equal(warnings, ['unknown field "__proto__"']);
    assert.equal(JSON.stringify(object['metadata']), '{"labels":{"__proto__":"x"}}');
  });
});
