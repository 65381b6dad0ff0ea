/** Kinds of the API that nodes and pods rely on, each through its whole life: all verbs, and what a watch tells. */

import * as assert from 'uvu/assert';
import type { ApiObject } from '../../pkg/api/meta.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { directTransport } from '../../pkg/client/direct-transport.ts';
import { admin, startApiServer } from '../harness/api-server.ts';
import { suite } from '../harness/suite.ts';

type Body = Readonly<Record<string, unknown>>;

interface Kind {
  readonly resource: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly isCluster?: boolean;
  readonly body: Body;
  /** A merge patch that the kind takes, beside that of a label. */
  readonly change?: Body;
}

const CONTAINERS = [{ name: 'c', image: 'i' }];
const REQUESTS = { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu' } }] };

const KINDS: readonly Kind[] = [
  {
    resource: 'leases',
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    body: { spec: { holderIdentity: 'me', leaseDurationSeconds: 30 } },
    change: { spec: { leaseDurationSeconds: 60 } },
  },
  {
    resource: 'podtemplates',
    apiVersion: 'v1',
    kind: 'PodTemplate',
    body: { template: { metadata: { labels: { a: 'b' } }, spec: { containers: CONTAINERS } } },
  },
  {
    resource: 'runtimeclasses',
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    isCluster: true,
    body: { handler: 'runc', overhead: { podFixed: { cpu: '10m' } } },
  },
  {
    resource: 'configmaps',
    apiVersion: 'v1',
    kind: 'ConfigMap',
    body: { data: { a: '1' } },
    change: { data: { b: '2' } },
  },
  {
    resource: 'secrets',
    apiVersion: 'v1',
    kind: 'Secret',
    body: { type: 'Opaque', data: { a: 'MQ==' } },
    change: { data: { b: 'Mg==' } },
  },
  {
    resource: 'deviceclasses',
    apiVersion: 'resource.k8s.io/v1',
    kind: 'DeviceClass',
    isCluster: true,
    body: { spec: { selectors: [{ cel: { expression: 'true' } }] } },
  },
  {
    resource: 'resourceclaims',
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    body: { spec: { devices: REQUESTS } },
  },
  {
    resource: 'resourceclaimtemplates',
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaimTemplate',
    body: { spec: { spec: { devices: REQUESTS } } },
  },
  {
    resource: 'resourceslices',
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    isCluster: true,
    body: {
      spec: {
        driver: 'd.example.org',
        nodeName: 'n',
        pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
        devices: [{ name: 'dev' }],
      },
    },
  },
];

suite('node objects', ({ test, cleanup }) => {
  const start = async () => {
    const plane = await startApiServer();
    cleanup(() => plane.close());
    return createClient(directTransport(plane.server.handle, admin));
  };

  for (const { resource, apiVersion, kind, isCluster, body, change } of KINDS) {
    test(`${kind}: created, read, listed, patched, replaced, watched and deleted, alone and together`, async () => {
      const client = await start();
      const scope = isCluster ? {} : { namespace: 'default' };
      const query = { ...scope, labelSelector: 'of=test' };
      const make = (name: string) => ({
        apiVersion,
        kind,
        metadata: { name, ...scope, labels: { of: 'test' } },
        ...body,
      });
      const { metadata: began } = await client.list(resource, query);
      const stop = new AbortController();
      cleanup(() => stop.abort());
      const seen: string[] = [];
      const watching = (async () => {
        const from = { ...query, resourceVersion: began.resourceVersion };
        for await (const { type, object } of client.watch<ApiObject>(resource, from, stop.signal)) {
          seen.push(`${type} ${object.metadata.name}`);
          if (seen.filter((one) => one.startsWith('DELETED')).length === 3) return;
        }
      })();
      const one = await client.create<ApiObject>(resource, make('one') as never);
      assert.ok(one.metadata.uid);
      const ref = { ...scope, name: 'one' };
      assert.equal(await client.get(resource, ref), one);
      const labelled = { metadata: { labels: { more: 'yes' } }, ...change };
      const patched = await client.patch<ApiObject>(resource, ref, labelled, { type: 'merge' });
      assert.equal(patched.metadata.labels, { of: 'test', more: 'yes' });
      const annotations = { replaced: 'yes' };
      const metadata = { ...patched.metadata, annotations };
      const replaced = await client.update<ApiObject>(resource, { ...patched, metadata });
      assert.equal(replaced.metadata.annotations, annotations);
      for (const name of ['two', 'three']) await client.create(resource, make(name) as never);
      const names = async (where: object) =>
        (await client.list(resource, where)).items.map((item) => item.metadata.name).sort();
      assert.equal(await names({ labelSelector: 'of=test' }), ['one', 'three', 'two']);
      await client.remove(resource, ref);
      await client.removeAll(resource, query);
      assert.equal(await names(query), []);
      await watching;
      assert.equal(seen.slice(0, 5), [
        'ADDED one',
        'MODIFIED one',
        'MODIFIED one',
        'ADDED two',
        'ADDED three',
      ]);
      assert.equal(seen.slice(5).sort(), ['DELETED one', 'DELETED three', 'DELETED two']);
    });
  }
});
