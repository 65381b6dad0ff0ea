/** The OpenAPI documents of two rows: what kubectl looks for in them. */
import * as assert from 'uvu/assert';
import { openApiV2, openApiV3, openApiV3Index } from '../../../pkg/api/openapi.ts';
import type { DocumentedRow } from '../../../pkg/api/openapi-paths.ts';
import { suite } from '../../harness/suite.ts';

const PODS: DocumentedRow = {
  gvk: ['', 'v1', 'Pod'],
  names: { plural: 'pods', singular: 'pod' },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Pod',
  subresources: ['status', 'log', 'exec', 'eviction', 'binding', 'proxy'],
};
const REVIEWS: DocumentedRow = {
  gvk: ['authorization.k8s.io', 'v1', 'SelfSubjectAccessReview'],
  names: { plural: 'selfsubjectaccessreviews', singular: 'selfsubjectaccessreview' },
  namespaced: false,
  type: 'io.k8s.api.authorization.v1.SelfSubjectAccessReview',
  verbs: ['create'],
};
const DEPLOYMENTS: DocumentedRow = {
  gvk: ['apps', 'v1', 'Deployment'],
  names: { plural: 'deployments', singular: 'deployment' },
  namespaced: true,
  type: 'io.k8s.api.apps.v1.Deployment',
  subresources: ['scale'],
};
const ROWS = [PODS, REVIEWS, DEPLOYMENTS];

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string }[];
  readonly 'x-kubernetes-action': string;
  readonly 'x-kubernetes-group-version-kind': object;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Schemas };
  readonly definitions: Schemas;
}

type Schemas = Readonly<
  Record<
    string,
    { readonly properties: Readonly<Record<string, object>>; readonly description: string }
  >
>;

async function documentOf(group: string): Promise<Document> {
  return (await openApiV3(group, 'v1', ROWS)) as unknown as Document;
}

function methodsOf(document: Document, path: string): readonly string[] {
  const methods = Object.keys(document.paths[path] ?? {});
  return methods.filter((name) => name !== 'parameters').sort();
}

/** Every `$ref` in a document. */
function referencesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, its]) =>
    key === '$ref' && typeof its === 'string' ? [its] : referencesIn(its),
  );
}

suite('openapi', ({ test }) => {
  test('the index names a document of each group version by a hash of its contents', () => {
    const { paths } = openApiV3Index(ROWS) as {
      paths: Record<string, { serverRelativeURL: string }>;
    };
    assert.equal(Object.keys(paths), ['api/v1', 'apis/authorization.k8s.io/v1', 'apis/apps/v1']);
    const url = paths['api/v1']?.serverRelativeURL ?? '';
    assert.match(url, /^\/openapi\/v3\/api\/v1\?hash=[0-9A-F]{32}$/);
    const fewer = openApiV3Index([{ ...PODS, subresources: [] }]) as { paths: typeof paths };
    assert.is.not(fewer.paths['api/v1']?.serverRelativeURL, url);
  });

  test('a group version without rows has no document', async () => {
    assert.is(await openApiV3('batch', 'v1', ROWS), undefined);
  });

  test('each path has the methods of its verbs', async () => {
    const core = await documentOf('');
    const pods = '/api/v1/namespaces/{namespace}/pods';
    assert.equal(methodsOf(core, pods), ['delete', 'get', 'post']);
    assert.equal(methodsOf(core, `${pods}/{name}`), ['delete', 'get', 'patch', 'put']);
    assert.equal(methodsOf(core, '/api/v1/pods'), ['get']);
    assert.equal(methodsOf(core, `${pods}/{name}/status`), ['get', 'patch', 'put']);
    assert.equal(methodsOf(core, `${pods}/{name}/log`), ['get']);
    assert.equal(methodsOf(core, `${pods}/{name}/exec`), ['get', 'post']);
    assert.equal(methodsOf(core, `${pods}/{name}/eviction`), ['post']);
    assert.is(methodsOf(core, `${pods}/{name}/proxy/{path}`).length, 7);
    const reviews = await documentOf('authorization.k8s.io');
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    assert.equal(Object.keys(reviews.paths), [path]);
    assert.equal(methodsOf(reviews, path), ['post']);
  });

  test('kubectl finds fieldValidation at the PATCH of a kind', async () => {
    const apps = await documentOf('apps');
    const { patch } = apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'] ?? {};
    assert.equal(patch?.['x-kubernetes-group-version-kind'], {
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
    });
    assert.ok(patch?.parameters?.some(({ name }) => name === 'fieldValidation'));
    assert.is(patch?.['x-kubernetes-action'], 'patch');
  });

  test('operations have the ids that generated clients know', async () => {
    const apps = await documentOf('apps');
    const deployments = '/apis/apps/v1/namespaces/{namespace}/deployments';
    const ids = [
      apps.paths[deployments]?.['get'],
      apps.paths[deployments]?.['delete'],
      apps.paths['/apis/apps/v1/deployments']?.['get'],
      apps.paths[`${deployments}/{name}/scale`]?.['put'],
      (await documentOf('')).paths['/api/v1/namespaces/{namespace}/pods/{name}/exec']?.['post'],
    ].map((its) => its?.operationId);
    assert.equal(ids, [
      'listAppsV1NamespacedDeployment',
      'deleteAppsV1CollectionNamespacedDeployment',
      'listAppsV1DeploymentForAllNamespaces',
      'replaceAppsV1NamespacedDeploymentScale',
      'connectCoreV1PostNamespacedPodExec',
    ]);
  });

  test('schemas say how lists merge', async () => {
    const { schemas } = (await documentOf('')).components;
    const { containers } = schemas['io.k8s.api.core.v1.PodSpec']?.properties ?? {};
    const { description, ...rest } = containers as { description: string };
    assert.match(description, /^List of containers/);
    assert.equal(rest, {
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    });
  });

  test('kinds carry group, version, kind and their text for kubectl explain', async () => {
    const { schemas } = (await documentOf('')).components;
    const pod = schemas['io.k8s.api.core.v1.Pod'] as unknown as Record<string, unknown>;
    assert.equal(pod['x-kubernetes-group-version-kind'], [
      { group: '', version: 'v1', kind: 'Pod' },
    ]);
    assert.match(String(pod['description']), /^Pod is a collection of containers/);
    const spec = (pod['properties'] as Record<string, unknown>)['spec'] as Record<string, unknown>;
    assert.equal(spec['allOf'], [{ $ref: '#/components/schemas/io.k8s.api.core.v1.PodSpec' }]);
  });

  test('every reference of every document leads somewhere', async () => {
    for (const { gvk } of ROWS) {
      const document = await documentOf(gvk[0]);
      const known = Object.keys(document.components.schemas).map(
        (name) => `#/components/schemas/${name}`,
      );
      assert.equal(
        referencesIn(document).filter((its) => !known.includes(its)),
        [],
      );
    }
    const v2 = (await openApiV2(ROWS)) as unknown as Document;
    const known = Object.keys(v2.definitions).map((name) => `#/definitions/${name}`);
    assert.equal(
      referencesIn(v2).filter((its) => !known.includes(its)),
      [],
    );
    assert.ok('io.k8s.api.apps.v1.Deployment' in v2.definitions);
    assert.ok('/api/v1/namespaces/{namespace}/pods/{name}' in v2.paths);
  });
});
