/** Unpacking layers: what archives may hold, and that nothing gets out of the directory. */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Pack, pack } from 'tar-stream';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture } from './fixture.ts';

/** More directories within each other than a process may have files open. */
const DEEP = 25_000;

type Entry = Parameters<Pack['entry']>[0] & { readonly text?: string };

/** A tar archive of these entries. */
async function archive(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry(header, text ?? '');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

suite('runtime unpack', ({ test, cleanup }) => {
  const setUp = async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const directory = join(f.dir, 'layer');
    mkdirSync(directory);
    const unpack = async (entries: readonly Entry[]) =>
      f.runtime.unpack({ directory, source: Readable.from([await archive(entries)]) });
    return { f, directory, unpack };
  };

  test('keeps content, links, modes, owners, times and long names', async () => {
    const { directory, unpack } = await setUp();
    const mtime = new Date('2020-02-03T04:05:06Z');
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(200)}`;
    await unpack([
      { name: 'dir/', type: 'directory', mode: 0o1777, mtime },
      { name: 'dir/file', mode: 0o4751, uid: 12, gid: 34, mtime, text: 'hello' },
      { name: 'hard', type: 'link', linkname: 'dir/file' },
      { name: 'sym', type: 'symlink', linkname: '/dir/file', mtime },
      { name: 'fifo', type: 'fifo', mode: 0o600 },
      { name: 'null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
      { name: long, text: 'long' },
      { name: 'big', text: 'x'.repeat(3_000_001) },
    ]);
    const at = (name: string) => join(directory, name);
    assert.is(readFileSync(at('dir/file'), 'utf8'), 'hello');
    const file = lstatSync(at('dir/file'));
    assert.equal([file.mode & 0o7777, file.uid, file.gid, file.nlink], [0o4751, 12, 34, 2]);
    assert.equal(file.mtime, mtime);
    assert.equal(lstatSync(at('dir')).mtime, mtime);
    assert.is(lstatSync(at('dir')).mode & 0o7777, 0o1777);
    assert.is(readlinkSync(at('sym')), '/dir/file');
    assert.equal(lstatSync(at('sym')).mtime, mtime);
    assert.ok(lstatSync(at('fifo')).isFIFO());
    assert.is(lstatSync(at('null')).rdev, 0x103);
    assert.is(readFileSync(at(long), 'utf8'), 'long');
    assert.is(lstatSync(at('big')).size, 3_000_001);
  });

  test('turns whiteouts into what overlayfs understands', async () => {
    const { directory, unpack } = await setUp();
    await unpack([
      { name: 'gone/.wh.file', text: '' },
      { name: 'opaque/', type: 'directory' },
      { name: 'opaque/.wh..wh..opq', text: '' },
    ]);
    const whiteout = lstatSync(join(directory, 'gone/file'));
    assert.ok(whiteout.isCharacterDevice());
    assert.is(whiteout.rdev, 0);
    const attribute = execFileSync(
      'python3',
      [
        '-c',
        'import os,sys; print(os.getxattr(sys.argv[1], "trusted.overlay.opaque").decode())',
        join(directory, 'opaque'),
      ],
      { encoding: 'utf8' },
    );
    assert.is(attribute, 'y\n');
    assert.equal(readdirSync(join(directory, 'opaque')), []);
  });

  test('carries capabilities and user attributes, and no overlay ones', async () => {
    const { directory, unpack } = await setUp();
    const pax = { 'SCHILY.xattr.user.color': 'blue', 'SCHILY.xattr.trusted.overlay.opaque': 'y' };
    await unpack([{ name: 'file', text: 'x', pax }]);
    const list = execFileSync(
      'python3',
      [
        '-c',
        'import os,sys; print(os.listxattr(sys.argv[1]), os.getxattr(sys.argv[1], "user.color"))',
        join(directory, 'file'),
      ],
      { encoding: 'utf8' },
    );
    assert.is(list, "['user.color'] b'blue'\n");
  });

  for (const [title, entries, victim] of [
    ['absolute and dotted names', [{ name: '/../../victim', text: 'x' }], 'victim'],
    [
      'a link to the outside as a directory',
      [
        { name: 'out', type: 'symlink', linkname: '..' },
        { name: 'out/victim', text: 'x' },
      ],
      'victim',
    ],
    [
      'an absolute link as a directory',
      [
        { name: 'out', type: 'symlink', linkname: '/' },
        { name: 'out/victim', text: 'x' },
      ],
      'victim',
    ],
  ] as const)
    test(`keeps inside: ${title}`, async () => {
      const { f, directory, unpack } = await setUp();
      await unpack(entries);
      assert.not.ok(existsSync(join(f.dir, victim)));
      assert.not.ok(existsSync(`/${victim}`));
      assert.ok(existsSync(join(directory, victim)));
    });

  test('does not follow a link when it replaces or removes it, nor hard-link the outside', async () => {
    const { f, directory, unpack } = await setUp();
    const victim = join(f.dir, 'victim');
    writeFileSync(victim, 'safe', { mode: 0o600 });
    await unpack([
      { name: 'link', type: 'symlink', linkname: victim },
      { name: 'link', text: 'replaced', mode: 0o777 },
    ]);
    assert.is(readFileSync(victim, 'utf8'), 'safe');
    assert.is(lstatSync(victim).mode & 0o777, 0o600);
    assert.is(readFileSync(join(directory, 'link'), 'utf8'), 'replaced');
    await rejects(unpack([{ name: 'hard', type: 'link', linkname: '../victim' }]));
    assert.is(lstatSync(victim).nlink, 1);
  });

  for (const [title, damage] of [
    ['cut off', (bytes: Buffer) => bytes.subarray(0, 700)],
    ['changed', (bytes: Buffer) => Buffer.concat([Buffer.from('X'), bytes.subarray(1)])],
  ] as const)
    test(`rejects an archive that was ${title}`, async () => {
      const { f, directory } = await setUp();
      const bytes = damage(await archive([{ name: 'file', text: 'x'.repeat(5000) }]));
      const work = f.runtime.unpack({ directory, source: Readable.from([bytes]) });
      assert.match(String(await rejects(work)), /archive/);
    });

  test('rejects when the source fails, and when it is given up', async () => {
    const { f, directory } = await setUp();
    const broken = new Readable({
      read() {
        this.destroy(new Error('source broke'));
      },
    });
    await rejects(f.runtime.unpack({ directory, source: broken }));
    const aborter = new AbortController();
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(512));
      },
    });
    const work = f.runtime.unpack({ directory, source: endless }, aborter.signal);
    aborter.abort(new Error('given up'));
    await rejects(work);
    endless.destroy();
  });

  test('removes trees with what is odd in them, and never more', async () => {
    const { f } = await setUp();
    const tree = join(f.dir, 'tree');
    mkdirSync(join(tree, 'a/b'), { recursive: true });
    writeFileSync(join(f.dir, 'kept'), 'kept');
    writeFileSync(join(tree, 'a/immutable'), '');
    execFileSync('ln', ['-s', f.dir, join(tree, 'link')]);
    execFileSync('chattr', ['+i', join(tree, 'a/immutable')]);
    await f.runtime.removeTree(tree);
    await f.runtime.removeTree(tree);
    assert.not.ok(existsSync(tree));
    assert.ok(existsSync(join(f.dir, 'kept')));
    await rejects(f.runtime.removeTree('/'));
  });

  test('removes a tree that is deeper than descriptors and paths reach', async () => {
    const { f } = await setUp();
    // In memory: a disk takes long for so many.
    const tree = mkdtempSync('/dev/shm/mini-deep-');
    const make = `import os
for at in range(${DEEP}):
    os.mkdir('d')
    os.mkdir('.removed-%d' % (at % 7))
    os.chdir('d')`;
    execFileSync('python3', ['-c', make], { cwd: tree });
    // What is left of it would be too much for the test's own removal.
    cleanup(() => void execFileSync('rm', ['-rf', tree]));
    await f.runtime.removeTree(tree);
    assert.not.ok(existsSync(tree));
  });

  test('unpacks thousands of files without a process for each', async () => {
    const { directory, unpack } = await setUp();
    const names = Array.from({ length: 3000 }, (_, at) => `d${at % 30}/f${at}`);
    await unpack(names.map((name) => ({ name, text: name })));
    assert.is(readdirSync(directory).length, 30);
    assert.is(readFileSync(join(directory, 'd7/f2977'), 'utf8'), 'd7/f2977');
  });
});
