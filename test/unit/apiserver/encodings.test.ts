/** Bytes of objects, made once. */

import * as assert from 'uvu/assert';
import { Encodings } from '../../../pkg/apiserver/encodings.ts';
import { suite } from '../../harness/suite.ts';

function pod(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  };
}

suite('encodings', ({ test }) => {
  test('makes a line of a watch once while watchers write it, and does not keep all', () => {
    const encodings = new Encodings();
    const event = { type: 'ADDED', object: pod('a') } as const;
    const line = encodings.line(event);
    assert.is(line.toString(), `${JSON.stringify(event)}\n`);
    assert.ok(encodings.line(event) === line);
    for (let at = 0; at < 1000; at++) encodings.line({ type: 'ADDED', object: pod(`b${at}`) });
    assert.not.ok(encodings.line(event) === line, 'the line is kept for ever');
    assert.equal(encodings.line(event), line);
  });

  test('puts lists together from the bytes of their items', () => {
    const encodings = new Encodings();
    const item = pod('a');
    encodings.remember(item, Buffer.from('{"bytes":1}'));
    const list = { kind: 'PodList', items: [item, pod('b')] };
    assert.equal(JSON.parse(encodings.encode(list).toString()), {
      kind: 'PodList',
      items: [{ bytes: 1 }, pod('b')],
    });
  });
});
