import * as assert from 'uvu/assert';
import { expired, unavailable } from '../../../pkg/api/errors.ts';
import type { ApiObject, WatchEvent } from '../../../pkg/api/meta.ts';
import { createClient } from '../../../pkg/client/create-client.ts';
import { createInformers } from '../../../pkg/client/informers.ts';
import type { ApiRequest, Transport } from '../../../pkg/client/transport.ts';
import { silent } from '../../../pkg/log/log.ts';
import { suite } from '../../harness/suite.ts';

function configMap(name: string, resourceVersion: number, uid = name): ApiObject {
  const metadata = {
    name,
    namespace: 'default',
    uid,
    resourceVersion: String(resourceVersion),
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

/** A server whose answers are written down: lists in order, and for each watch what it sends before it is cut. */
function scripted(
  lists: readonly (readonly ApiObject[])[],
  watches: readonly (readonly WatchEvent[] | Error)[],
) {
  const asked: ApiRequest[] = [];
  let listed = 0;
  let watched = 0;
  const transport: Transport = {
    async request(request) {
      asked.push(request);
      const items = lists[listed] ?? [];
      listed += 1;
      return {
        kind: 'List',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(listed * 10) },
        items,
      };
    },
    async *watch(request, signal) {
      asked.push(request);
      const script = watches[watched];
      watched += 1;
      if (script instanceof Error) throw script;
      yield* script ?? [];
      if (script === undefined)
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  };
  return { transport, asked };
}

suite('informer', ({ test, cleanup }) => {
  const follow = (server: ReturnType<typeof scripted>) => {
    const stop = new AbortController();
    cleanup(() => stop.abort(new Error('over')));
    const client = createClient(server.transport);
    const informers = createInformers({ client, log: silent, signal: stop.signal });
    informers.start('configmaps');
    const seen: string[] = [];
    informers.subscribe('configmaps', ({ type, object }) => {
      seen.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}`);
    });
    return { informers, seen };
  };

  test('resumes after a cut from the last version it saw, bookmarks included', async () => {
    const server = scripted(
      [[configMap('a', 3)]],
      [
        [{ type: 'ADDED', object: configMap('b', 12) }],
        unavailable('restarting'),
        [
          { type: 'BOOKMARK', object: configMap('', 20) },
          { type: 'DELETED', object: configMap('a', 21) },
        ],
      ],
    );
    const { informers, seen } = follow(server);
    await informers.reached('configmaps', 21);
    assert.equal(seen, ['added a@3', 'added b@12', 'deleted a@21']);
    await informers.until('configmaps', () => true);
    const watches = server.asked.filter(({ query }) => query?.['watch']);
    assert.equal(
      watches.slice(0, 3).map(({ query }) => query?.['resourceVersion']),
      ['10', '12', '12'],
    );
    assert.ok(watches.every(({ query }) => query?.['allowWatchBookmarks'] === 'true'));
    assert.is(informers.list('configmaps').length, 1);
  });

  test('lists again when the server has forgotten its version, and tells what is gone', async () => {
    const server = scripted(
      [
        [configMap('a', 3), configMap('b', 4), configMap('c', 5)],
        [configMap('b', 4), configMap('c', 15, 'other'), configMap('d', 16)],
      ],
      [expired('too old resource version')],
    );
    const { informers, seen } = follow(server);
    await informers.reached('configmaps', 20);
    assert.equal(seen.slice(3), ['deleted a@3', 'deleted c@5', 'added c@15', 'added d@16']);
  });

  test('serves by key, namespace, owner and custom index', async () => {
    const owner = configMap('owner', 1);
    const { metadata } = configMap('owned', 2);
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'owner',
      uid: 'owner',
      controller: true,
    };
    const owned = { ...owner, metadata: { ...metadata, ownerReferences: [reference] } };
    const { informers } = follow(scripted([[owner, owned]], []));
    await informers.synced();
    informers.addIndex('configmaps', 'initial', (object) => [object.metadata.name.slice(0, 1)]);
    assert.is(informers.get('configmaps', { namespace: 'default', name: 'owned' }), owned);
    assert.equal(informers.owned('configmaps', owner), [owned]);
    assert.is(informers.list('configmaps', 'default').length, 2);
    assert.is(informers.list('configmaps', 'other').length, 0);
    assert.is(informers.indexed('configmaps', { index: 'initial', value: 'o' }).length, 2);
    assert.throws(() => informers.list('pods'), /must be started first/);
  });

  test('goes on when a subscriber throws', async () => {
    const server = scripted([[]], [[{ type: 'ADDED', object: configMap('a', 11) }]]);
    const { informers, seen } = follow(server);
    informers.subscribe('configmaps', () => {
      throw new Error('defect');
    });
    await informers.reached('configmaps', 11);
    assert.equal(seen, ['added a@11']);
  });
});
