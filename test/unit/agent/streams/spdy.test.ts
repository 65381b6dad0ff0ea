/** SPDY/3.1 as kubectl's port-forward speaks it: real bytes, header coding, flow, damage. */

import { duplexPair } from 'node:stream';
import { deflateSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { spdyDictionary } from '../../../../pkg/agent/streams/spdy/dictionary.ts';
import {
  controlFrame,
  dataFrame,
  FrameDecoder,
  SpdyError,
  TYPES,
} from '../../../../pkg/agent/streams/spdy/frames.ts';
import { HeaderCodec } from '../../../../pkg/agent/streams/spdy/header-codec.ts';
import { SpdySession } from '../../../../pkg/agent/streams/spdy/session.ts';
import type { SpdyStream } from '../../../../pkg/agent/streams/spdy/stream.ts';
import { rejects, suite } from '../../../harness/suite.ts';

suite('agent: SPDY/3.1', ({ test, cleanup }) => {
  test('the dictionary is the published one: 1423 bytes, Adler-32 e3c6a7c2', () => {
    const dictionary = spdyDictionary();
    assert.is(dictionary.length, 1423);
    // zlib writes the Adler-32 of the dictionary into the stream's head.
    assert.is(deflateSync(Buffer.from('x'), { dictionary }).toString('hex', 2, 6), 'e3c6a7c2');
  });

  for (const [title, hex, frame] of [
    [
      'a data frame',
      '00000003 01 000002 6869',
      { kind: 'data', streamId: 3, isLast: true, data: Buffer.from('hi') },
    ],
    [
      'a ping',
      '80030006 00 000004 00000001',
      { kind: 'control', type: 6, flags: 0, payload: Buffer.from('00000001', 'hex') },
    ],
    [
      'a reset',
      '80030003 00 000008 00000001 00000005',
      { kind: 'control', type: 3, flags: 0, payload: Buffer.from('0000000100000005', 'hex') },
    ],
  ] as const) {
    test(`decodes ${title}, also byte by byte`, () => {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      assert.equal(new FrameDecoder().push(bytes), [frame]);
      const decoder = new FrameDecoder();
      assert.equal(
        [...bytes].flatMap((byte) => decoder.push(Buffer.from([byte]))),
        [frame],
      );
    });
  }

  test('encodes what it decodes', () => {
    assert.is(dataFrame(3, Buffer.from('hi'), true).toString('hex'), '00000003010000026869');
    assert.is(
      controlFrame(TYPES.ping, Buffer.from([0, 0, 0, 1])).toString('hex'),
      '800300060000000400000001',
    );
  });

  test('refuses another version and frames that are too large', () => {
    assert.throws(
      () => new FrameDecoder().push(Buffer.from('8002000600000000', 'hex')),
      (e: unknown) => e instanceof SpdyError,
    );
    assert.throws(
      () => new FrameDecoder().push(Buffer.from('0000000100ffffff', 'hex')),
      (e: unknown) => e instanceof SpdyError,
    );
  });

  test('header blocks share one zlib stream a direction; a damaged one is refused', async () => {
    const sender = new HeaderCodec();
    const receiver = new HeaderCodec();
    const first = new Map([
      ['streamtype', 'error'],
      ['port', '80'],
    ]);
    const second = new Map([
      ['streamtype', 'data'],
      ['port', '80'],
    ]);
    const blocks = [await sender.encode(first), await sender.encode(second)];
    assert.ok((blocks[1]?.length ?? 99) < (blocks[0]?.length ?? 0));
    assert.equal(await receiver.decode(blocks[0] ?? Buffer.alloc(0)), first);
    assert.equal(await receiver.decode(blocks[1] ?? Buffer.alloc(0)), second);
    assert.instance(await rejects(receiver.decode(Buffer.from('garbage'))), SpdyError);
    sender.close();
    receiver.close();
  });

  test('a session answers streams, echoes their data, and ends its streams when it breaks', async () => {
    const [client, server] = duplexPair();
    cleanup(() => void client.destroy());
    const streams: SpdyStream[] = [];
    const session = new SpdySession(server, (stream) => {
      streams.push(stream);
      stream.pipe(stream);
    });
    const codec = new HeaderCodec();
    const received = new FrameDecoder();
    const data: Buffer[] = [];
    const kinds: (number | string)[] = [];
    const ended = Promise.withResolvers<void>();
    client.on('data', (chunk: Buffer) => {
      for (const frame of received.push(chunk)) {
        kinds.push(frame.kind === 'data' ? 'data' : frame.type);
        if (frame.kind !== 'data') continue;
        data.push(frame.data);
        if (frame.isLast) ended.resolve();
      }
    });
    const block = await codec.encode(new Map([['streamtype', 'data']]));
    const open = Buffer.concat([Buffer.from('00000001000000000000', 'hex'), block]);
    client.write(controlFrame(TYPES.synStream, open));
    client.write(dataFrame(1, Buffer.from('hello '), false));
    client.write(dataFrame(1, Buffer.from('there'), true));
    await ended.promise;
    assert.is(Buffer.concat(data).toString(), 'hello there');
    assert.is(kinds[0], TYPES.synReply);
    assert.is(streams[0]?.headers.get('streamtype'), 'data');
    client.write(Buffer.from('8009', 'hex'));
    client.end();
    await session.closed;
    assert.ok(streams.every(({ destroyed }) => destroyed));
    codec.close();
  });
});
