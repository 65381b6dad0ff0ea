/** Images made on the fly: layers, archives of all forms, and a busybox image from Debian's busybox-static. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';

export interface TarFile {
  readonly name: string;
  readonly content?: Buffer | string;
  readonly mode?: number;
  readonly type?: Header['type'];
  readonly linkname?: string;
}

export interface ImageParts {
  readonly tag: string;
  readonly layers: readonly (readonly TarFile[])[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
  readonly compression?: 'gzip' | 'zstd' | 'none';
}

export interface BuiltImage {
  readonly tag: string;
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly layers: readonly { readonly plain: Buffer; readonly packed: Buffer }[];
}

const OWN_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const SUFFIX = { gzip: '+gzip', zstd: '+zstd', none: '' };

/** A tar archive of files. */
export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content = '', mode = 0o644, type = 'file', linkname } of files) {
    const header = { name, mode, type, mtime: new Date(0), ...(linkname ? { linkname } : {}) };
    archive.entry(header, type === 'file' ? content : '');
  }
  archive.finalize();
  return buffer(archive);
}

/** `sha256:<hex>`. */
export function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Makes config, manifest and layers. */
export async function buildImage(parts: ImageParts): Promise<BuiltImage> {
  const compression = parts.compression ?? 'gzip';
  const layers = await Promise.all(
    parts.layers.map(async (files) => {
      const plain = await tarOf(files);
      return { plain, packed: compress(plain, compression) };
    }),
  );
  const config = json({
    architecture: parts.architecture ?? OWN_ARCHITECTURE,
    os: 'linux',
    created: '2026-01-02T03:04:05Z',
    config: parts.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ plain }) => digest(plain)) },
  });
  const type = `application/vnd.oci.image.layer.v1.tar${SUFFIX[compression]}`;
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map(({ packed }) => descriptor(type, packed)),
  });
  return { tag: parts.tag, config, manifest, layers };
}

/** What `docker save` wrote before version 25: layers under names of their own, one of them a link. */
export async function dockerArchive(image: BuiltImage): Promise<Buffer> {
  const name = (at: number) => `${at}${'0'.repeat(63)}/layer.tar`;
  const config = `${digest(image.config).slice('sha256:'.length)}.json`;
  return tarOf([
    ...image.layers.map(({ plain }, at) => ({ name: name(at), content: plain })),
    { name: `link/layer.tar`, type: 'symlink', linkname: `../${name(0)}` },
    { name: config, content: image.config },
    {
      name: 'manifest.json',
      content: json([
        {
          Config: config,
          RepoTags: [image.tag],
          Layers: image.layers.map((_, at) => (at === 0 ? 'link/layer.tar' : name(at))),
        },
      ]),
    },
  ]);
}

/** The files of an OCI layout. */
export function ociFiles(
  images: readonly BuiltImage[],
): readonly { readonly name: string; readonly content: Buffer }[] {
  const blobs = images.flatMap((image) => [
    image.config,
    image.manifest,
    ...image.layers.map(({ packed }) => packed),
  ]);
  const index = {
    schemaVersion: 2,
    manifests: images.map((image) => ({
      ...descriptor('application/vnd.oci.image.manifest.v1+json', image.manifest),
      annotations: { 'org.opencontainers.image.ref.name': image.tag },
    })),
  };
  return [
    { name: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', content: json(index) },
    ...blobs.map((content) => ({ name: `blobs/${digest(content).replace(':', '/')}`, content })),
  ];
}

/** Writes an OCI layout directory. */
export async function writeLayout(directory: string, images: readonly BuiltImage[]): Promise<void> {
  for (const { name, content } of ociFiles(images)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), content);
  }
}

/** An image with busybox as /bin/busybox, /bin/sh and other names, users `root` and `app` (1000, groups app, extra). */
export async function busyboxImage(tag = 'docker.io/test/busybox:latest'): Promise<BuiltImage> {
  const program = await readFile('/bin/busybox');
  const names =
    'sh ls cat echo sleep id env hostname ip wget nc httpd pwd true false touch test ps kill df tail'
      .split(' ')
      .map((name) => ({ name: `bin/${name}`, type: 'symlink' as const, linkname: 'busybox' }));
  const directories = ['bin', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev', 'home'].map((name) => ({
    name,
    type: 'directory' as const,
    mode: name === 'tmp' ? 0o1777 : 0o755,
  }));
  return buildImage({
    tag,
    layers: [
      [...directories, { name: 'bin/busybox', content: program, mode: 0o755 }, ...names],
      [
        {
          name: 'etc/passwd',
          content: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n',
        },
        { name: 'etc/group', content: 'root:x:0:\napp:x:1000:\nextra:x:2000:app\n' },
      ],
    ],
    config: { Cmd: ['sh'], Env: ['PATH=/bin', 'FROM_IMAGE=yes'] },
    compression: 'none',
  });
}

function descriptor(mediaType: string, bytes: Buffer) {
  return { mediaType, digest: digest(bytes), size: bytes.length };
}

function compress(bytes: Buffer, kind: 'gzip' | 'zstd' | 'none'): Buffer {
  if (kind === 'none') return bytes;
  return kind === 'gzip' ? gzipSync(bytes) : zstdCompressSync(bytes);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
