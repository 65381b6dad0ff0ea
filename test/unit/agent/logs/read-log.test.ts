/** Reading container logs: tails, rotation, partial lines, limits, following. */

import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { parseLogQuery } from '../../../../pkg/agent/logs/log-query.ts';
import { type LogSource, readLog } from '../../../../pkg/agent/logs/read-log.ts';
import { tailSync } from '../../../../pkg/agent/logs/tail-sync.ts';
import { rejects, suite } from '../../../harness/suite.ts';

const line = (text: string, { stream = 'stdout', tag = 'F', second = 0 } = {}) =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z ${stream} ${tag} ${text}\n`;

suite('agent: container logs', ({ test, cleanup }) => {
  async function scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'mini-log-'));
    cleanup(() => rm(directory, { recursive: true }));
    return join(directory, '0.log');
  }
  const ended = (path: string): LogSource => ({
    path,
    isRunning: () => false,
    onChange: () => () => undefined,
  });
  async function read(source: LogSource, query: string): Promise<string> {
    const parsed = parseLogQuery(new URLSearchParams(query), Date.parse('2026-01-01T00:01:00Z'));
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(source, parsed, new AbortController().signal))
      chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  const text =
    line('one') +
    line('err', { stream: 'stderr', second: 1 }) +
    line('par', { tag: 'P', second: 2 }) +
    line('tial', { second: 2 }) +
    line('last', { second: 50 });
  for (const [query, expected] of [
    ['', 'one\nerr\npartial\nlast\n'],
    ['tailLines=0', ''],
    ['tailLines=1', 'last\n'],
    ['tailLines=2', 'partial\nlast\n'],
    ['tailLines=9', 'one\nerr\npartial\nlast\n'],
    ['limitBytes=6', 'one\ner'],
    ['sinceSeconds=20', 'last\n'],
    ['sinceTime=2026-01-01T00:00:02Z', 'partial\nlast\n'],
    ['stream=Stderr', 'err\n'],
    ['stream=Stdout&tailLines=2', 'partial\nlast\n'],
    [
      'tailLines=2&timestamps=true',
      '2026-01-01T00:00:02.000000001Z partial\n2026-01-01T00:00:50.000000001Z last\n',
    ],
  ] as const) {
    test(`reads "${query}"`, async () => {
      const path = await scratch();
      await writeFile(path, text);
      assert.is(await read(ended(path), query), expected);
    });
  }

  for (const [query, expected] of [
    ['', 'one\nerr\nend without newline'],
    ['tailLines=1', 'end without newline'],
    ['tailLines=2', 'err\nend without newline'],
    ['stream=Stdout&tailLines=2', 'one\nend without newline'],
  ] as const) {
    test(`reads "${query}" of what ended without a newline`, async () => {
      const path = await scratch();
      const end = line('end with', { tag: 'P' }) + line('out newline', { tag: 'P' });
      await writeFile(path, line('one') + line('err', { stream: 'stderr' }) + end);
      assert.is(await read(ended(path), query), expected);
    });
  }

  test('finds the tail of a file of many blocks', async () => {
    const path = await scratch();
    const lines = Array.from({ length: 20_000 }, (_, index) => line(`line ${index}`));
    await writeFile(path, lines.join(''));
    assert.is(await read(ended(path), 'tailLines=3'), 'line 19997\nline 19998\nline 19999\n');
    const many = await read(ended(path), 'tailLines=15000');
    assert.is(many.split('\n').length, 15_001);
    assert.ok(many.startsWith('line 5000\n'));
  });

  test('reads rotated files first, and a tail across them', async () => {
    const path = await scratch();
    await writeFile(`${path}.20260101-000000`, line('a') + line('b'));
    await writeFile(`${path}.20260101-000001`, line('c') + line('d'));
    await writeFile(path, line('e'));
    assert.is(await read(ended(path), ''), 'a\nb\nc\nd\ne\n');
    assert.is(await read(ended(path), 'tailLines=4'), 'b\nc\nd\ne\n');
  });

  test('a long tail across rotated files is read in small parts, not held', async () => {
    const path = await scratch();
    const lines = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => line(`n${from + index}`)).join('');
    const [first, second] = ['20260101-000000', '20260101-000100'].map((at) => `${path}.${at}`);
    await writeFile(first ?? '', lines(0, 30_000));
    await writeFile(second ?? '', lines(30_000, 60_000));
    await writeFile(path, lines(60_000, 60_010));
    const query = parseLogQuery(new URLSearchParams('tailLines=50000'), 0);
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(ended(path), query, new AbortController().signal))
      chunks.push(chunk);
    const found = Buffer.concat(chunks).toString().trimEnd().split('\n');
    assert.is(found.length, 50_000);
    assert.equal([found[0], found.at(-1)], ['n10010', 'n60009']);
    assert.ok(Math.max(...chunks.map(({ length }) => length)) <= 128 * 1024);
  });

  test('follows through a rotation until the container has ended, and loses nothing', async () => {
    const path = await scratch();
    await writeFile(path, line('a'));
    let isRunning = true;
    let changed: () => void = () => undefined;
    const source: LogSource = {
      path,
      isRunning: () => isRunning,
      onChange: (listener) => {
        changed = listener;
        return () => undefined;
      },
    };
    const all = read(source, 'follow=true');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path, line('b'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path, line('c'));
    await rename(path, `${path}.1`);
    await writeFile(path, line('d'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path, line('e'));
    isRunning = false;
    changed();
    assert.is(await all, 'a\nb\nc\nd\ne\n');
  });

  test('follows through several rotations that came while its reader was busy', async () => {
    const path = await scratch();
    await writeFile(path, line('a'));
    const query = parseLogQuery(new URLSearchParams('follow=true'), 0);
    const texts: string[] = [];
    for await (const chunk of readLog(ended(path), query, new AbortController().signal)) {
      texts.push(chunk.toString());
      if (texts.length > 1) continue;
      await appendFile(path, line('b'));
      for (const [name, next] of [
        ['20260101-000001', 'c'],
        ['20260101-000002', 'd'],
        ['20260101-000003', 'e'],
      ] as const) {
        await rename(path, `${path}.${name}`);
        await writeFile(path, line(next));
      }
    }
    assert.is(texts.join(''), 'a\nb\nc\nd\ne\n');
  });

  test('a log that cannot be read is an error, not an empty log', async () => {
    const path = await scratch();
    await mkdir(path);
    assert.match(String(await rejects(read(ended(path), ''))), /EISDIR/);
    await rm(path, { recursive: true });
    await symlink(path, path);
    assert.match(String(await rejects(read(ended(path), ''))), /ELOOP/);
  });

  test('a missing log is empty, and wrong numbers are refused', async () => {
    assert.is(await read(ended('/nonexistent/0.log'), ''), '');
    assert.throws(() => parseLogQuery(new URLSearchParams('tailLines=x'), 0), /invalid tailLines/);
    assert.throws(() => parseLogQuery(new URLSearchParams('sinceTime=x'), 0), /invalid sinceTime/);
  });

  test('the end of a log serves as a termination message', async () => {
    const path = await scratch();
    await writeFile(path, text);
    assert.is(tailSync(path, { maxBytes: 100, maxLines: 2 }), 'tial\nlast\n');
    assert.is(tailSync(path, { maxBytes: 3, maxLines: 80 }), 'st\n');
  });
});
