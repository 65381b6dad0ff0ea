import * as assert from 'uvu/assert';
import { notFound } from '../../../pkg/api/errors.ts';
import { createClient } from '../../../pkg/client/create-client.ts';
import { createEventRecorder } from '../../../pkg/client/events.ts';
import type { ApiRequest } from '../../../pkg/client/transport.ts';
import { silent } from '../../../pkg/log/log.ts';
import { suite } from '../../harness/suite.ts';

function object(name: string, namespace?: string) {
  const metadata = {
    name,
    uid: name,
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...(namespace ? { namespace } : {}),
  };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

/** A server that takes every event, and refuses as told. */
function recording(refuse: (request: ApiRequest) => Error | undefined = () => undefined) {
  const requests: ApiRequest[] = [];
  const transport = {
    async request(request: ApiRequest) {
      requests.push(request);
      const error = refuse(request);
      if (error) throw error;
      return request.method === 'POST' ? request.body : object('event', 'default');
    },
    watch() {
      throw new Error('not asked for');
    },
  };
  const clock = { now: () => 1_767_225_600_000, monotonic: () => 0, after: () => () => undefined };
  const client = createClient(transport);
  const recorder = createEventRecorder({
    client,
    log: silent,
    component: 'tester',
    host: 'n1',
    clock,
  });
  return { recorder, requests };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

suite('events', ({ test }) => {
  test('are written about an object in its namespace', async () => {
    const { recorder, requests } = recording();
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    recorder.warning(object('node'), 'Failed', 'x'.repeat(3000));
    await settled();
    const [first, second] = requests.map(({ body }) => JSON.parse(JSON.stringify(body)));
    assert.is(requests[0]?.path, '/api/v1/namespaces/team/events');
    assert.match(first.metadata.name, /^a\.[0-9a-f]{16}$/);
    assert.equal(first.involvedObject, {
      apiVersion: 'v1',
      kind: 'Thing',
      name: 'a',
      uid: 'a',
      resourceVersion: '7',
      namespace: 'team',
    });
    assert.equal(
      [first.type, first.reason, first.message, first.count],
      ['Normal', 'Created', 'Created it', 1],
    );
    assert.equal(first.source, { component: 'tester', host: 'n1' });
    assert.is(first.lastTimestamp, '2026-01-01T00:00:00Z');
    assert.is(requests[1]?.path, '/api/v1/namespaces/default/events');
    assert.is(second.message.length, 1024);
    assert.is.not(first.metadata.name.split('.')[1], second.metadata.name.split('.')[1]);
  });

  test('are counted when they repeat', async () => {
    const { recorder, requests } = recording();
    for (let i = 0; i < 5; i += 1) recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    assert.equal(
      requests.map(({ method }) => method),
      ['POST', 'PATCH', 'PATCH'],
    );
    const counts = requests.slice(1).map(({ body }) => JSON.parse(JSON.stringify(body)).count);
    assert.equal(counts, [5, 6]);
  });

  test('are written anew when the server has forgotten them', async () => {
    const { recorder, requests } = recording(({ method }) =>
      method === 'PATCH' ? notFound({ plural: 'events', group: '' }, 'a') : undefined,
    );
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    assert.equal(
      requests.map(({ method }) => method),
      ['POST', 'PATCH', 'POST'],
    );
  });

  test('never throw, whatever the server says', async () => {
    const { recorder, requests } = recording(() => new Error('down'));
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    assert.is(requests.length, 2);
  });
});
