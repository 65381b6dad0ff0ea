import * as assert from 'uvu/assert';
import { alreadyExists, badRequest, notFound, unavailable } from '../../../pkg/api/errors.ts';
import { createClient } from '../../../pkg/client/create-client.ts';
import { createEventRecorder } from '../../../pkg/client/events.ts';
import type { ApiRequest } from '../../../pkg/client/transport.ts';
import { silent } from '../../../pkg/log/log.ts';
import { movableClock } from '../../harness/movable-clock.ts';
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
  const clock = movableClock(1_767_225_600_000);
  const client = createClient(transport);
  const recorder = createEventRecorder({
    client,
    log: silent,
    component: 'tester',
    host: 'n1',
    clock,
  });
  return { recorder, requests, clock };
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

  test('are tried again while the server is away, in one go with what happened since', async () => {
    let isAway = true;
    const { recorder, requests, clock } = recording(() =>
      isAway ? unavailable('Cannot reach it') : undefined,
    );
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    recorder.normal(object('b', 'team'), 'Created', 'Created it');
    await clock.pass(120_000);
    const tries = requests.length;
    assert.ok(tries > 8 && tries < 60, `${tries} tries`);
    isAway = false;
    await clock.pass(10_000);
    const written = requests.slice(tries).map(({ method, body }) => {
      const { involvedObject, count } = JSON.parse(JSON.stringify(body));
      return [method, involvedObject.name, count];
    });
    assert.equal(written, [
      ['POST', 'a', 2],
      ['POST', 'b', 1],
    ]);
    const { firstTimestamp, lastTimestamp } = JSON.parse(JSON.stringify(requests.at(-1)?.body));
    assert.equal([firstTimestamp, lastTimestamp], ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z']);
  });

  test('that arrived though their answer did not are not written twice', async () => {
    const { recorder, requests, clock } = recording(() =>
      requests.length === 1
        ? unavailable('cut')
        : alreadyExists({ plural: 'events', group: '' }, 'a'),
    );
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    await clock.pass(60_000);
    assert.is(requests.length, 2);
  });

  test('are dropped when the server refuses them, or does not come back', async () => {
    let error: Error = badRequest('no such thing');
    const { recorder, requests, clock } = recording(() => error);
    recorder.normal(object('a', 'team'), 'Created', 'Created it');
    await settled();
    await clock.pass(60_000);
    assert.is(requests.length, 1);
    error = new Error('down');
    recorder.normal(object('b', 'team'), 'Created', 'Created it');
    await settled();
    await clock.pass(2 * 3_600_000);
    const tries = requests.length;
    await clock.pass(3_600_000);
    assert.is(requests.length, tries);
  });

  test('wait in a queue that has an end', async () => {
    let isAway = true;
    const { recorder, requests, clock } = recording(() =>
      isAway ? unavailable('Cannot reach it') : undefined,
    );
    for (let i = 0; i < 3000; i += 1) recorder.normal(object(`o${i}`), 'Created', 'Created it');
    await settled();
    const tries = requests.length;
    isAway = false;
    await clock.pass(10_000);
    for (let i = 0; i < 200; i += 1) await settled();
    assert.is(requests.length - tries, 1000 + tries);
  });

  test('that differ by their message only are one after a while', async () => {
    const { recorder, requests } = recording();
    for (let i = 0; i < 13; i += 1) {
      recorder.normal(object('a', 'team'), 'Created', `Created ${i}`);
      await settled();
    }
    const told = requests.map(({ method, body }) => {
      const { count, message } = JSON.parse(JSON.stringify(body));
      return [method, count, message];
    });
    assert.equal(
      told.slice(0, 9),
      Array.from({ length: 9 }, (_, i) => ['POST', 1, `Created ${i}`]),
    );
    assert.equal(told.slice(9), [
      ['POST', 1, '(combined from similar events): Created 9'],
      ['PATCH', 2, '(combined from similar events): Created 10'],
      ['PATCH', 3, '(combined from similar events): Created 11'],
      ['PATCH', 4, '(combined from similar events): Created 12'],
    ]);
  });

  test('about one object have a budget, and what it does not allow is counted', async () => {
    const { recorder, requests, clock } = recording();
    for (let i = 0; i < 40; i += 1) {
      recorder.warning(object('a', 'team'), 'BackOff', 'Back-off restarting');
      await settled();
    }
    assert.is(requests.length, 25);
    recorder.warning(object('b', 'team'), 'BackOff', 'Back-off restarting');
    await settled();
    assert.is(requests.length, 26);
    await clock.pass(6 * 60_000);
    recorder.warning(object('a', 'team'), 'BackOff', 'Back-off restarting');
    await settled();
    const { count } = JSON.parse(JSON.stringify(requests.at(-1)?.body));
    assert.is(count, 41);
  });
});
