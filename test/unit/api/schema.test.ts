/** Look-ups in the table of API facts, and the TypeScript made from it. */
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { typeNames, typesSource } from '../../../pkg/api/generate.mjs';
import { hasType, typeOfKind, typeSchema } from '../../../pkg/api/schema.ts';
import { suite } from '../../harness/suite.ts';

const table = JSON.parse(
  readFileSync(new URL('../../../embedded/api-types.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

const CONTAINER = 'io.k8s.api.core.v1.Container';

suite('schema', ({ test }) => {
  test('knows lists, keys, merge keys and defaults of fields', () => {
    const ports = typeSchema(CONTAINER).fields.get('ports');
    assert.is(ports?.listType, 'map');
    assert.equal(ports?.listKeys, ['containerPort', 'protocol']);
    assert.is(ports?.mergeKey, 'containerPort');
    assert.is(ports?.shape.kind, 'list');
    const port = typeSchema('io.k8s.api.core.v1.ContainerPort');
    assert.is(port.fields.get('protocol')?.default, 'TCP');
    assert.is(port.fields.get('containerPort')?.isRequired, true);
  });

  test('knows which values are owned as a whole', () => {
    const service = typeSchema('io.k8s.api.core.v1.ServiceSpec');
    assert.is(service.fields.get('selector')?.isAtomic, true);
    const deployment = typeSchema('io.k8s.api.apps.v1.DeploymentSpec');
    assert.is(deployment.fields.get('selector')?.isAtomic, true, 'a LabelSelector is atomic');
    const volume = typeSchema('io.k8s.api.core.v1.PersistentVolumeSpec');
    assert.is(volume.fields.get('claimRef')?.isAtomic, false, 'granular in spite of its type');
  });

  test('finds types by kind, options in every group', () => {
    assert.is(typeOfKind('v1', 'Pod'), 'io.k8s.api.core.v1.Pod');
    assert.is(typeOfKind('apps/v1', 'Deployment'), 'io.k8s.api.apps.v1.Deployment');
    assert.match(typeOfKind('apps/v1', 'DeleteOptions') ?? '', /meta\.v1\.DeleteOptions$/);
    assert.is(typeOfKind('apps/v2', 'Deployment'), undefined);
    assert.is(typeOfKind('v1', 'constructor'), undefined);
    assert.is(hasType('toString'), false);
    assert.throws(() => typeSchema('toString'), /No API type "toString"/);
  });

  test('all types that fields name are in the table', () => {
    for (const name of Object.keys(table)) {
      const { fields } = typeSchema(name);
      for (const { listType, listKeys } of fields.values()) {
        assert.is(listType === 'map', listKeys.length > 0, name);
      }
    }
  });
});

suite('generated types', ({ test }) => {
  test('of several types with one short name the core group or the kind keeps it', () => {
    const names = typeNames(table);
    assert.is(names['io.k8s.api.core.v1.Event'], 'Event');
    assert.is(names['io.k8s.api.events.v1.Event'], 'EventsEvent');
    assert.is(
      names['io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler'],
      'HorizontalPodAutoscaler',
    );
    assert.is(
      names['io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler'],
      'HorizontalPodAutoscalerV1',
    );
    assert.is(names['io.k8s.api.rbac.v1.Subject'], 'RbacSubject');
    assert.is(names['io.k8s.api.resource.v1.ResourceClaim'], 'ResourceClaim');
    assert.is(new Set(Object.values(names)).size, Object.keys(names).length);
  });

  test('everything is readonly', () => {
    const source = typesSource(table);
    const lines = source.split('\n').filter((line) => line.startsWith('  '));
    assert.ok(lines.length > 2000);
    assert.equal(
      lines.filter((line) => !line.startsWith('  readonly ')),
      [],
    );
    assert.match(source, 'readonly containers: readonly Container[];');
    assert.match(
      source,
      'readonly labels?: Readonly<Record<string, string>>;'.replace('labels', 'nodeSelector'),
    );
    assert.match(source, 'readonly targetPort?: string | number;');
  });
});
