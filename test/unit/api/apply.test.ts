/** Server-side apply and the account of managers, on a deployment as kubectl, helm and an autoscaler share it. */
import * as assert from 'uvu/assert';
import { type ApplyRequest, serverSideApply } from '../../../pkg/api/apply.ts';
import { decodeObject } from '../../../pkg/api/decode.ts';
import { StatusError } from '../../../pkg/api/errors.ts';
import { trackManager } from '../../../pkg/api/managed-fields.ts';
import type { ManagedFieldsEntry } from '../../../pkg/api/meta.ts';
import { suite } from '../../harness/suite.ts';

const DEPLOYMENT = 'io.k8s.api.apps.v1.Deployment';
const THEN = '2026-01-01T00:00:00Z';
const NOW = '2026-01-02T00:00:00Z';

interface Shown {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly managedFields?: readonly ManagedFieldsEntry[];
  };
  readonly spec: {
    readonly replicas?: number;
    readonly template: {
      readonly spec: { readonly containers: readonly Readonly<Record<string, unknown>>[] };
    };
  };
}

function config(spec: object = {}, metadata: object = {}): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', ...metadata },
    spec,
  };
}

function containers(...list: readonly object[]): object {
  return { template: { spec: { containers: list } } };
}

function apply(live: object | undefined, applied: object, its: Partial<ApplyRequest> = {}): Shown {
  const request = { manager: 'kubectl', isForced: false, subresource: '', nowIso: NOW, ...its };
  const object = serverSideApply({ type: DEPLOYMENT, live, applied, ...request });
  return decodeObject(DEPLOYMENT, object, 'Strict').object as unknown as Shown;
}

/** `live` after an update by `manager` that sets this spec. */
function update(live: Shown, spec: object, manager: string): Shown {
  const after = { ...live, spec: { ...live.spec, ...spec } };
  const managedFields = trackManager({
    type: DEPLOYMENT,
    before: live,
    after,
    manager,
    apiVersion: 'apps/v1',
    subresource: '',
    nowIso: NOW,
  });
  return { ...after, metadata: { ...live.metadata, managedFields } };
}

function conflictOf(work: () => unknown): StatusError {
  try {
    work();
  } catch (error) {
    assert.instance(error, StatusError);
    return error as StatusError;
  }
  throw new Error('Expected a refusal');
}

function entry({ metadata }: Shown, manager: string): ManagedFieldsEntry | undefined {
  return metadata.managedFields?.find((its) => its.manager === manager);
}

suite('server-side apply', ({ test }) => {
  test('creates what the configuration says and records its fields', () => {
    const probe = { httpGet: { port: 80 } };
    const ports = [{ containerPort: 80 }];
    const created = apply(
      undefined,
      config(containers({ name: 'c', image: 'i', args: ['x'], ports, livenessProbe: probe }), {
        labels: { a: 'b' },
        finalizers: ['f'],
      }),
    );
    assert.equal(created.metadata.managedFields, [
      {
        manager: 'kubectl',
        operation: 'Apply',
        apiVersion: 'apps/v1',
        time: NOW,
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:finalizers': { 'v:"f"': {} }, 'f:labels': { 'f:a': {} } },
          'f:spec': {
            'f:template': {
              'f:spec': {
                'f:containers': {
                  'k:{"name":"c"}': {
                    '.': {},
                    'f:args': {},
                    'f:image': {},
                    'f:livenessProbe': { 'f:httpGet': { 'f:port': {} } },
                    'f:name': {},
                    'f:ports': {
                      'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ]);
  });

  test('changes nothing, not even the time, when applied again', () => {
    const applied = config({ replicas: 1 });
    const live = apply(undefined, applied, { nowIso: THEN });
    assert.equal(apply(live, applied), live);
  });

  test('keeps what others set and merges lists by their keys', () => {
    const live = apply(undefined, config(containers({ name: 'a', image: '1' })));
    const other = containers({ name: 'b', image: '2' });
    const both = apply(live, config(other, { labels: { x: 'y' } }), { manager: 'helm' });
    const names = both.spec.template.spec.containers.map(({ name }) => name);
    assert.equal(names, ['a', 'b']);
    assert.is(both.metadata.managedFields?.length, 2);
  });

  test('orders items as the configuration does, others where they stood', () => {
    const live = apply(undefined, config(containers({ name: 'a' }, { name: 'b' }, { name: 'c' })));
    const next = containers({ name: 'c' }, { name: 'd' }, { name: 'a' });
    const moved = apply(live, config(next), { manager: 'helm' });
    const names = moved.spec.template.spec.containers.map(({ name }) => name);
    assert.equal(names, ['c', 'd', 'a', 'b']);
  });

  test('keeps live items that share their keys unless it names them', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'A', value: '2' },
      { name: 'B', value: '3' },
    ];
    const live = decodeObject(DEPLOYMENT, config(containers({ name: 'c', env })), 'Strict').object;
    const other = { manager: 'helm', isForced: true };
    const more = apply(live, config(containers({ name: 'c', env: [{ name: 'C' }] })), other);
    assert.equal(more.spec.template.spec.containers[0]?.['env'], [...env, { name: 'C' }]);
    const one = apply(
      live,
      config(containers({ name: 'c', env: [{ name: 'A', value: '9' }] })),
      other,
    );
    assert.equal(one.spec.template.spec.containers[0]?.['env'], [
      { name: 'A', value: '9' },
      env[2],
    ]);
  });

  test('refuses to take a field of another manager, in the words of Kubernetes', () => {
    const live = apply(undefined, config({ replicas: 1 }));
    const scaled = update(live, { replicas: 5 }, 'hpa');
    const error = conflictOf(() => apply(scaled, config({ replicas: 1 })));
    assert.is(error.code, 409);
    assert.is(
      error.message,
      'Apply failed with 1 conflict: conflict with "hpa" using apps/v1: .spec.replicas',
    );
    assert.equal(error.details?.causes, [
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "hpa" using apps/v1',
        field: '.spec.replicas',
      },
    ]);
  });

  test('lists several conflicts by manager with the paths of items', () => {
    const first = { replicas: 1, paused: true, ...containers({ name: 'a', image: '1' }) };
    const live = apply(undefined, config(first));
    const second = { replicas: 2, ...containers({ name: 'a', image: '2' }) };
    const error = conflictOf(() => apply(live, config(second), { manager: 'helm' }));
    assert.is(
      error.message,
      [
        'Apply failed with 2 conflicts: conflicts with "kubectl":',
        '- .spec.replicas',
        '- .spec.template.spec.containers[name="a"].image',
      ].join('\n'),
    );
  });

  test('does not conflict over equal values: both own the field', () => {
    const live = apply(undefined, config({ replicas: 1 }));
    const both = apply(live, config({ replicas: 1 }), { manager: 'helm' });
    assert.is(both.metadata.managedFields?.length, 2);
  });

  test('takes fields over when forced', () => {
    const live = apply(undefined, config({ replicas: 1, paused: true }));
    const taken = apply(live, config({ replicas: 2 }), { manager: 'helm', isForced: true });
    assert.is(taken.spec.replicas, 2);
    assert.equal(entry(taken, 'kubectl')?.fieldsV1, { 'f:spec': { 'f:paused': {} } });
    assert.equal(entry(taken, 'helm')?.fieldsV1, { 'f:spec': { 'f:replicas': {} } });
  });

  test('removes what it no longer names and nobody else owns', () => {
    const probe = { httpGet: { port: 80 }, timeoutSeconds: 3 };
    const both = [{ name: 'a', image: '1', livenessProbe: probe }, { name: 'b' }];
    const live = apply(
      undefined,
      config({ replicas: 1, ...containers(...both) }, { labels: { x: '1', y: '2' } }),
    );
    const defaulted = structuredClone(live) as unknown as {
      spec: { template: { spec: { containers: { livenessProbe?: object }[] } } };
    };
    Object.assign(defaulted.spec.template.spec.containers[0]?.livenessProbe ?? {}, {
      periodSeconds: 10,
    });
    const next = apply(
      defaulted,
      config(containers({ name: 'a', image: '1' }), { labels: { y: '2' } }),
    );
    assert.equal(next.metadata.labels, { y: '2' });
    assert.is(next.spec.replicas, undefined);
    assert.equal(next.spec.template.spec.containers, [{ name: 'a', image: '1', resources: {} }]);
  });

  test('leaves what it no longer names when another manager owns it', () => {
    const live = apply(undefined, config({ replicas: 1, paused: true }));
    const shared = apply(live, config({ replicas: 1 }), { manager: 'helm' });
    const next = apply(shared, { ...config(), spec: undefined });
    assert.is(next.spec.replicas, 1);
    assert.is(entry(next, 'kubectl'), undefined);
  });

  test('leaves the name alone when it gives up all of metadata', () => {
    const live = apply(undefined, config({}, { labels: { a: 'b' } }));
    const next = apply(live, config({ replicas: 1 }));
    assert.equal(next.metadata.labels, undefined);
    assert.is((next.metadata as { name?: string }).name, 'web');
  });

  test('gives objects without account a manager for all they have', () => {
    const live = decodeObject(DEPLOYMENT, config({ replicas: 3 }), 'Strict').object;
    const error = conflictOf(() => apply(live, config({ replicas: 1 })));
    assert.match(error.message, '"before-first-apply" using apps/v1: .spec.replicas');
  });

  test('ignores status through the main endpoint and spec through status', () => {
    const applied = { ...config({ replicas: 1 }), status: { replicas: 9 } };
    const live = apply(undefined, applied);
    assert.equal((live as unknown as { status: object }).status, {});
    const next = apply(live, { ...applied, spec: { replicas: 7 } }, { subresource: 'status' });
    assert.is(next.spec.replicas, 1);
    assert.equal((next as unknown as { status: object }).status, { replicas: 9 });
    assert.equal(
      next.metadata.managedFields?.map(({ subresource }) => subresource),
      [undefined, 'status'],
    );
  });

  for (const [what, applied, words] of [
    ['a field not in the schema', config({ foo: 1 }), '.spec.foo: field not declared in schema'],
    ['its own account', config({}, { managedFields: [{}] }), 'metadata.managedFields must be nil'],
    [
      'an item twice',
      config(containers({ name: 'a' }, { name: 'a' })),
      'duplicate entries for key',
    ],
    ['an item without its key', config(containers({ image: 'a' })), 'omits key field "name"'],
  ] as const) {
    test(`refuses a configuration with ${what}`, () => {
      const error = conflictOf(() => apply(undefined, applied));
      assert.is(error.code, 400);
      assert.ok(error.message.includes(words), error.message);
    });
  }
});

suite('managers of updates', ({ test }) => {
  const base = {
    type: DEPLOYMENT,
    apiVersion: 'apps/v1',
    subresource: '',
    nowIso: NOW,
    manager: 'kubectl-create',
  };
  const created = decodeObject(
    DEPLOYMENT,
    config(containers({ name: 'c', ports: [{ containerPort: 80 }] }), { labels: { a: 'b' } }),
    'Strict',
  ).object;

  test('records a create as Kubernetes does', () => {
    const [first, ...others] = trackManager({ ...base, before: undefined, after: created });
    assert.equal(others, []);
    assert.is(first?.operation, 'Update');
    assert.equal(first?.fieldsV1, {
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        'f:template': {
          'f:spec': {
            'f:containers': {
              'k:{"name":"c"}': {
                '.': {},
                'f:name': {},
                'f:ports': {
                  '.': {},
                  'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                },
                'f:resources': {},
              },
            },
          },
        },
      },
    });
  });

  test('moves changed fields to who changed them and forgets removed ones', () => {
    const before = update(created as unknown as Shown, { replicas: 1, paused: true }, 'one');
    const after = update(before, { replicas: 2, paused: undefined }, 'two');
    assert.is(entry(after, 'one'), undefined);
    assert.equal(entry(after, 'two')?.fieldsV1, { 'f:spec': { 'f:replicas': {} } });
  });

  test('leaves the account alone when nothing changed', () => {
    const before = update(created as unknown as Shown, { replicas: 1 }, 'one');
    const later = {
      ...base,
      before,
      after: before,
      manager: 'one',
      nowIso: '2030-01-01T00:00:00Z',
    };
    assert.equal(trackManager(later), before.metadata.managedFields);
  });

  test('takes the entries that a client wrote, and clears them for [{}]', () => {
    const before = update(created as unknown as Shown, { replicas: 1 }, 'one');
    const renamed = before.metadata.managedFields?.map((its) => ({ ...its, manager: 'new' })) ?? [];
    const after = { ...before, metadata: { ...before.metadata, managedFields: renamed } };
    assert.equal(trackManager({ ...base, before, after }), renamed);
    const cleared = { ...before, metadata: { ...before.metadata, managedFields: [{}] } };
    assert.equal(trackManager({ ...base, before, after: cleared }), []);
  });

  test('keeps at most ten updaters', () => {
    let live = created as unknown as Shown;
    for (let index = 0; index < 15; index += 1) {
      const labels = { ...live.metadata.labels, [`l${index}`]: 'x' };
      const after = { ...live, metadata: { ...live.metadata, labels } };
      const nowIso = `2026-01-01T00:00:${10 + index}Z`;
      const managedFields = trackManager({
        ...base,
        before: live,
        after,
        manager: `m${index}`,
        nowIso,
      });
      live = { ...after, metadata: { ...after.metadata, managedFields } };
    }
    const entries = live.metadata.managedFields ?? [];
    assert.is(entries.length, 10);
    const ancient = entries.find(({ manager }) => manager === 'ancient-changes');
    assert.ok(JSON.stringify(ancient?.fieldsV1).includes('f:l0'));
  });
});
