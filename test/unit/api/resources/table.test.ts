/** The table as a whole: complete, findable, and no row falls over whatever a client sends. */

import * as assert from 'uvu/assert';
import type { ApiObject } from '../../../../pkg/api/meta.ts';
import type { Resource } from '../../../../pkg/api/resource.ts';
import {
  allResources,
  apiVersionOf,
  findResource,
  nameOf,
  resourceByKind,
  resourceOf,
} from '../../../../pkg/api/resources.ts';
import { hasType, typeOfKind } from '../../../../pkg/api/schema.ts';
import { suite } from '../../../harness/suite.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

function objectOf(row: Resource, body: object): ApiObject {
  return {
    apiVersion: apiVersionOf(row),
    kind: row.gvk[2],
    metadata: {
      name: 'x',
      ...(row.namespaced ? { namespace: 'default' } : {}),
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2025-12-31T23:59:00Z',
    },
    ...body,
  };
}

/** What the server does with a new object, and what it shows of it. */
function runThrough(row: Resource, body: object): void {
  const given = objectOf(row, body);
  const defaulted = row.defaults?.(given) ?? given;
  const object = row.prepareForCreate?.(defaulted) ?? defaulted;
  const causes = row.validate(object);
  row.prepareForUpdate?.(object, object);
  assert.equal(row.validateUpdate?.(object, object) ?? [], [], `${nameOf(row)} kept as it is`);
  for (const read of Object.values(row.fields ?? {})) assert.type(read(object), 'string');
  row.graceSeconds?.(object);
  if (causes.length > 0) return;
  assert.is(row.defaults?.(defaulted) ?? defaulted, defaulted, `${nameOf(row)} defaulted twice`);
  for (const column of row.columns) {
    assert.ok(
      ['string', 'number', 'boolean'].includes(typeof column.cell(object, NOW_MS)),
      column.name,
    );
  }
}

suite('resource table', ({ test }) => {
  test('names a type of the table of facts in every row', () => {
    for (const row of allResources) {
      assert.ok(hasType(row.type), row.type);
      assert.is(typeOfKind(apiVersionOf(row), row.gvk[2]), row.type);
    }
  });

  test('finds each row by its path, its kind and its name', () => {
    for (const row of allResources) {
      const [group, version, kind] = row.gvk;
      assert.is(findResource(group, version, row.names.plural), row);
      assert.is(resourceByKind(apiVersionOf(row), kind), row);
      const stored = row.storage ? (resourceOf(row.storage.resource) ?? row) : row;
      assert.ok([row, stored].includes(resourceOf(nameOf(row)) ?? row), nameOf(row));
    }
    assert.is(resourceOf('events')?.gvk[0], '');
    assert.is(resourceOf('events.events.k8s.io')?.gvk[0], 'events.k8s.io');
    assert.is(resourceOf('deployments.apps'), resourceOf('deployments'));
    assert.is(resourceOf('horizontalpodautoscalers')?.gvk[1], 'v2');
    assert.is(resourceOf('nothing'), undefined);
  });

  test('uses each short name once', () => {
    const seen = new Map<string, string>();
    for (const { names } of allResources) {
      for (const short of names.short ?? []) {
        assert.is(seen.get(short) ?? names.plural, names.plural);
        seen.set(short, names.plural);
      }
    }
  });

  for (const [what, body] of Object.entries({
    'nothing but metadata': {},
    'an empty spec': { spec: {} },
    'empty nested objects': {
      spec: {
        template: { spec: {} },
        jobTemplate: { spec: { template: {} } },
        selector: {},
        source: {},
        names: {},
        versions: [],
      },
    },
  })) {
    test(`handles an object with ${what} without falling over`, () => {
      const sent = allResources.filter(({ isComputed }) => !isComputed);
      const failures = sent.flatMap((row) => {
        try {
          runThrough(row, body);
          return [];
        } catch (error) {
          return [`${nameOf(row)}: ${error instanceof Error ? error.stack : error}`];
        }
      });
      assert.equal(failures, []);
    });
  }
});
