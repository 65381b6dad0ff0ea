/** The image store over a real directory; only the unpacking is a fake's. */

import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { ImageError, type ImageStore } from '../../../pkg/image/image-store.ts';
import { openImageStore } from '../../../pkg/image/store.ts';
import { describe, silent } from '../../../pkg/log/log.ts';
import {
  type BuiltImage,
  buildImage,
  digest,
  dockerArchive,
  ociFiles,
  tarOf,
  writeLayout,
} from '../../harness/images.ts';
import { rejects, suite } from '../../harness/suite.ts';
import { fakeUnpacker } from './fake-unpacker.ts';

const BASE = [{ name: 'base.txt', content: 'base' }];
const TOP = [{ name: 'top.txt', content: 'top' }];

/** Making a bomb takes long on a busy machine. */
const BOMB_MS = 60_000;

suite('image store', ({ test, cleanup }) => {
  async function scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'mini-image-'));
    cleanup(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }
  async function open(dataDir?: string) {
    const directory = dataDir ?? (await scratch());
    const runtime = fakeUnpacker();
    const store = await openImageStore({ dataDir: directory, runtime, log: silent });
    return { store, runtime, directory };
  }
  const sample = (tag = 'app:1', more: Partial<Parameters<typeof buildImage>[0]> = {}) =>
    buildImage({ tag, layers: [BASE, TOP], config: { Cmd: ['run'], User: 'app' }, ...more });

  async function checkSample(store: ImageStore, image: BuiltImage): Promise<void> {
    const found = store.get(image.tag);
    assert.is(found?.id, digest(image.config));
    assert.equal(found?.config.cmd, ['run']);
    assert.is(found?.config.user, 'app');
    assert.is(found?.layers.length, 2);
    const [top = '', base = ''] = found?.layers ?? [];
    assert.is(await readFile(join(top, 'top.txt'), 'utf8'), 'top');
    assert.is(await readFile(join(base, 'base.txt'), 'utf8'), 'base');
  }

  const FORMS: readonly [string, (image: BuiltImage) => Promise<Buffer>][] = [
    ['docker-archive', dockerArchive],
    ['docker-archive in gzip', async (image) => gzipSync(await dockerArchive(image))],
    ['OCI archive', (image) => tarOf(ociFiles([image]))],
    ['OCI archive in zstd', async (image) => zstdCompressSync(await tarOf(ociFiles([image])))],
  ];
  for (const [name, make] of FORMS) {
    test(`imports a ${name}`, async () => {
      const { store } = await open();
      const image = await sample();
      const [imported] = await store.import(Readable.from([await make(image)]));
      assert.is(imported?.isPinned, true);
      assert.equal(imported?.tags, ['docker.io/library/app:1']);
      await checkSample(store, image);
    });
  }

  for (const compression of ['gzip', 'zstd', 'none'] as const) {
    test(`imports an OCI layout directory with ${compression} layers`, async () => {
      const { store } = await open();
      const layout = await scratch();
      const image = await sample('app:1', { compression });
      await writeLayout(layout, [image]);
      await store.import({ layout });
      await checkSample(store, image);
    });
  }

  test('finds by tag, id, id prefix and digest, and survives a restart', async () => {
    const { store, directory } = await open();
    const image = await sample('quay.io/x/app:1');
    await store.import(Readable.from([await tarOf(ociFiles([image]))]));
    await store.close();
    const { store: again } = await open(directory);
    const id = digest(image.config);
    const names = [
      'quay.io/x/app:1',
      id,
      id.slice(7, 19),
      `quay.io/x/app@${digest(image.manifest)}`,
    ];
    for (const name of names) assert.is(again.get(name)?.id, id, name);
    assert.is(again.get(id.slice(7, 18)), undefined, 'a prefix of 11 is too short');
    assert.is(again.get('not valid!'), undefined);
  });

  test('unpacks a layer that two images share once', async () => {
    const { store, runtime } = await open();
    const one = await sample('one:1');
    const two = await sample('two:1', { layers: [BASE, [{ name: 'other', content: 'x' }]] });
    await store.import(Readable.from([await dockerArchive(one)]));
    await store.import(Readable.from([await dockerArchive(two)]));
    assert.is(runtime.unpacked, 3);
    assert.is(store.get('one:1')?.layers[1], store.get('two:1')?.layers[1]);
  });

  test('removes an image with the blobs and layers that no other uses', async () => {
    const { store, directory } = await open();
    const one = await sample('one:1');
    const two = await sample('two:1', { layers: [BASE, [{ name: 'other', content: 'x' }]] });
    await store.import(Readable.from([await tarOf(ociFiles([one, two]))]));
    await store.remove('one:1');
    assert.is(store.get('one:1'), undefined);
    assert.is(
      (await readdir(join(directory, 'images/layers'))).length,
      3,
      'two, and the empty one',
    );
    await store.remove(digest(two.config));
    assert.equal(await readdir(join(directory, 'images/layers')), ['empty']);
    assert.equal(await readdir(join(directory, 'images/blobs/sha256')), []);
    assert.equal(store.list(), []);
  });

  test('keeps a retained image on disk until it is released', async () => {
    const { store, directory } = await open();
    const image = await sample();
    await store.import(Readable.from([await dockerArchive(image)]));
    const layer = join(store.get('app:1')?.layers[0] ?? '', 'top.txt');
    const releases = [1, 2].map(() => store.retain(digest(image.config)));
    await store.remove('app:1');
    releases[0]?.();
    releases[0]?.();
    assert.is(store.get('app:1'), undefined);
    assert.is(store.get(digest(image.config)), undefined);
    assert.is(await readFile(layer, 'utf8'), 'top');
    await store.close();
    const { store: again } = await open(directory);
    assert.is(await readFile(layer, 'utf8'), 'top', 'a restart alone does not drop it');
    await again.collect();
    assert.instance(await rejects(readFile(layer)), Error);
  });

  test('takes an image back that is imported again while it is doomed', async () => {
    const { store } = await open();
    const image = await sample();
    await store.import(Readable.from([await dockerArchive(image)]));
    const release = store.retain(digest(image.config));
    await store.remove('app:1');
    await store.import(Readable.from([await dockerArchive(image)]));
    release();
    await store.close();
    await checkSample(store, image);
  });

  test('moves a tag to the image that has it last', async () => {
    const { store } = await open();
    const one = await sample();
    const two = await sample('app:1', { layers: [TOP] });
    await store.import(Readable.from([await dockerArchive(one)]));
    await store.import(Readable.from([await dockerArchive(two)]));
    assert.is(store.get('app:1')?.id, digest(two.config));
    assert.equal(store.get(digest(one.config))?.tags, []);
    await store.tag('app:1', 'other/name');
    assert.equal(store.get('other/name')?.tags, [
      'docker.io/library/app:1',
      'docker.io/other/name:latest',
    ]);
  });

  test('exports what it can import again, in both forms', async () => {
    const { store } = await open();
    const image = await sample();
    await store.import(Readable.from([await tarOf(ociFiles([image]))]));
    const archive = await buffer(store.export(['app:1']));
    const { store: other } = await open();
    await other.import(Readable.from([archive]));
    await checkSample(other, image);
    assert.equal(other.get('app:1')?.tags, ['docker.io/library/app:1']);
  });

  test('chooses the image of this host from one of several platforms', async () => {
    const { store } = await open();
    const images = await Promise.all(
      ['amd64', 'arm64', 's390x'].map((architecture) => sample('multi:1', { architecture })),
    );
    const own = images[process.arch === 'arm64' ? 1 : 0];
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: images.map(({ manifest }, at) => ({
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: digest(manifest),
        size: manifest.length,
        platform: { os: 'linux', architecture: ['amd64', 'arm64', 's390x'][at] },
        annotations: { 'io.containerd.image.name': 'multi:1' },
      })),
    });
    const files = ociFiles(images).map((file) =>
      file.name === 'index.json' ? { ...file, content: Buffer.from(index) } : file,
    );
    const found = await store.import(Readable.from([await tarOf(files)]));
    assert.equal(
      found.map(({ id }) => id),
      [digest(own?.config ?? Buffer.alloc(0))],
    );
  });

  const BROKEN: readonly [string, (image: BuiltImage) => Promise<Buffer>][] = [
    ['no tar archive', async () => Buffer.from('x'.repeat(2000))],
    ['nothing', async () => Buffer.alloc(0)],
    ['a cut gzip', async (image) => gzipSync(await dockerArchive(image)).subarray(0, -30)],
    ['a cut tar', async (image) => (await dockerArchive(image)).subarray(0, 1600)],
    ['a tar without an image', () => tarOf(BASE)],
    ['xz', async () => Buffer.from('fd377a585a0000', 'hex')],
    [
      'a layer that is not what its digest says',
      (image) =>
        tarOf(
          ociFiles([image]).map((file) =>
            file.name.includes(digest(image.layers[0]?.packed ?? Buffer.alloc(0)).slice(7))
              ? { ...file, content: Buffer.from('evil') }
              : file,
          ),
        ),
    ],
    [
      'a layer that is not what its diff_id says',
      async (image) => {
        const evil = await buildImage({ tag: 'e', layers: [[{ name: 'evil', content: '' }]] });
        const layers = [...evil.layers, ...image.layers.slice(1)];
        return dockerArchive({ ...image, layers });
      },
    ],
  ];
  for (const [name, make] of BROKEN) {
    test(`refuses ${name}, and leaves nothing behind`, async () => {
      const { store, directory } = await open();
      const error = await rejects(store.import(Readable.from([await make(await sample())])));
      assert.instance(error, ImageError, String(error));
      assert.equal(store.list(), []);
      assert.equal(await readdir(join(directory, 'images/ingest')), []);
      assert.equal(await readdir(join(directory, 'images/unpack')), []);
    });
  }

  const withFile = async (name: string, content: Buffer) =>
    tarOf(
      ociFiles([await sample()]).map((file) => (file.name === name ? { name, content } : file)),
    );
  const layer = { mediaType: 'x', digest: `sha256:${'a'.repeat(64)}`, size: 1 };
  const manifests = (count: number) =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: Array(count).fill(layer) }));
  const BOMBS: readonly [string, () => Promise<Buffer>][] = [
    ['an index of 5 MiB', () => withFile('index.json', Buffer.alloc(5 * 2 ** 20, ' '))],
    ['an index of 1,001 manifests', () => withFile('index.json', manifests(1001))],
    [
      'an image of 257 layers',
      async () => dockerArchive(await sample('x', { layers: Array(257).fill(BASE) })),
    ],
    [
      'an archive of 20,001 files',
      () =>
        tarOf(Array.from({ length: 20_001 }, (_, at) => ({ name: String(at), type: 'directory' }))),
    ],
  ];
  for (const [name, make] of BOMBS) {
    test(
      `refuses ${name}`,
      async () => {
        const { store, directory } = await open();
        const error = await rejects(store.import(Readable.from([gzipSync(await make())])));
        assert.ok(error instanceof ImageError && error.code === 'Corrupt', String(error));
        assert.equal(await readdir(join(directory, 'images/ingest')), []);
      },
      BOMB_MS,
    );
  }

  test('says when the disk is full, and takes smaller images after that', async () => {
    const directory = await scratch();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', directory]);
    cleanup(() => void execFileSync('umount', [directory]));
    const { store } = await open(directory);
    const big = { name: 'big', content: Buffer.alloc(3 * 2 ** 20, 1) };
    for (const compression of ['none', 'gzip'] as const) {
      const image = await sample('big:1', { layers: [[big]], compression });
      const error = await rejects(store.import(Readable.from([await tarOf(ociFiles([image]))])));
      assert.ok(error instanceof ImageError && error.code === 'NoSpace', describe(error));
    }
    const image = await sample();
    await store.import(Readable.from([await dockerArchive(image)]));
    await checkSample(store, image);
  });

  test('refuses a damaged index, and deletes nothing', async () => {
    const { store, directory } = await open();
    await store.import(Readable.from([await dockerArchive(await sample())]));
    await store.close();
    const path = join(directory, 'images/index.json');
    const blobs = await readdir(join(directory, 'images/blobs/sha256'));
    for (const damaged of ['{"version":1,"images":[{"id":1}]}', 'no json', '{}']) {
      await writeFile(path, damaged);
      assert.match(String(await rejects(open(directory))), 'index.json');
    }
    await rm(path);
    assert.match(String(await rejects(open(directory))), 'is missing');
    assert.equal(await readdir(join(directory, 'images/blobs/sha256')), blobs);
  });

  test('imports under a tag given, and not several images under one', async () => {
    const { store } = await open();
    const one = await sample('one:1');
    const two = await sample('two:1', { layers: [TOP] });
    await store.import(Readable.from([await dockerArchive(one)]), { tag: 'given' });
    assert.is(store.get('given')?.id, digest(one.config));
    const both = Readable.from([await tarOf(ociFiles([one, two]))]);
    const error = await rejects(store.import(both, { tag: 'given' }));
    assert.ok(error instanceof ImageError && error.code === 'InvalidReference');
  });
});
