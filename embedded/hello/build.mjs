/**
 * Builds the sample image `docker.io/mini/hello:latest`: one static program in one layer, as an archive that is both an
 * OCI layout and what `docker load` reads. Same source and compiler, same bytes.
 *
 * As a script: `node embedded/hello/build.mjs [--arch amd64|arm64] [--cc gcc] [--out dist]`.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

const TAG = 'docker.io/mini/hello:latest';
const MAX_PROGRAM_BYTES = 100 * 1024;
const EPOCH = new Date(0);
const COMPILERS = { amd64: 'gcc', arm64: 'aarch64-linux-gnu-gcc' };
const SOURCES = ['start.c', 'text.c', 'http.c', 'hello.c'];
/** Not root, so that pods with runAsNonRoot run it. */
const USER = '65532:65532';
const FLAGS = [
  '-std=gnu11',
  '-Os',
  ...[
    '-Wall',
    '-Wextra',
    '-Wshadow',
    '-Wconversion',
    '-Wmissing-prototypes',
    '-Wstrict-prototypes',
  ],
  '-Werror',
  ...['-static', '-nostdlib', '-ffreestanding', '-fno-pie', '-no-pie', '-s'],
  ...[
    '-fno-stack-protector',
    '-fno-asynchronous-unwind-tables',
    '-fno-tree-loop-distribute-patterns',
  ],
  '-Wl,--build-id=none,-z,noexecstack',
];

/**
 * Compiles the program and writes `<outDir>/hello-<arch>.tar`. `cc` defaults to gcc for this architecture's name.
 * @param {{ cc?: string, arch?: 'amd64' | 'arm64', outDir: string }} options
 * @returns {Promise<{ archive: string }>} its path
 */
export async function buildHello({ arch = hostArch(), cc = COMPILERS[arch], outDir }) {
  if (!(arch in COMPILERS)) throw new Error(`hello is for amd64 and arm64, not ${arch}`);
  await mkdir(outDir, { recursive: true });
  const program = join(outDir, `hello-${arch}`);
  const folder = dirname(fileURLToPath(import.meta.url));
  const sources = SOURCES.map((name) => join(folder, name));
  await promisify(execFile)(cc, [...FLAGS, '-o', program, ...sources]);
  const bytes = await readFile(program);
  if (bytes.length > MAX_PROGRAM_BYTES) throw new Error(`${program} is larger than 100 KB`);
  const archive = join(outDir, `hello-${arch}.tar`);
  await writeFile(`${archive}.new`, await imageArchive({ program: bytes, arch }));
  await rename(`${archive}.new`, archive);
  await rm(program);
  return { archive };
}

async function imageArchive({ program, arch }) {
  const layer = await tar([{ name: 'hello', mode: 0o755, bytes: program }]);
  const packed = gzipSync(layer, { level: 9 });
  const config = json({
    architecture: arch,
    os: 'linux',
    ...(arch === 'arm64' ? { variant: 'v8' } : {}),
    created: EPOCH.toISOString(),
    config: {
      Entrypoint: ['/hello'],
      User: USER,
      WorkingDir: '/',
      ExposedPorts: { '8080/tcp': {} },
      Labels: { 'org.opencontainers.image.title': 'hello' },
    },
    rootfs: { type: 'layers', diff_ids: [digest(layer)] },
    history: [{ created: EPOCH.toISOString(), created_by: 'mini' }],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', packed)],
  });
  const index = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: {
          'io.containerd.image.name': TAG,
          'org.opencontainers.image.ref.name': 'latest',
        },
      },
    ],
  });
  const docker = json([{ Config: path(config), RepoTags: [TAG], Layers: [path(packed)] }]);
  return tar([
    { name: 'oci-layout', bytes: json({ imageLayoutVersion: '1.0.0' }) },
    ...[config, packed, manifest].map((bytes) => ({ name: path(bytes), bytes })),
    { name: 'index.json', bytes: index },
    { name: 'manifest.json', bytes: docker },
  ]);
}

async function tar(files) {
  const archive = pack();
  for (const { name, bytes, mode = 0o644 } of files) {
    archive.entry({ name, mode, mtime: EPOCH, size: bytes.length }, bytes);
  }
  archive.finalize();
  return buffer(archive);
}

function descriptor(mediaType, bytes) {
  return { mediaType, digest: digest(bytes), size: bytes.length };
}

function digest(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function path(bytes) {
  return `blobs/${digest(bytes).replace(':', '/')}`;
}

function json(value) {
  return Buffer.from(JSON.stringify(value));
}

function hostArch() {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { arch: { type: 'string' }, cc: { type: 'string' }, out: { type: 'string' } },
  });
  const { archive } = await buildHello({
    ...(values.arch ? { arch: values.arch } : {}),
    ...(values.cc ? { cc: values.cc } : {}),
    outDir: values.out ?? 'dist',
  });
  process.stdout.write(`${archive}\n`);
}
