/** Boots a machine with cgroup v2 and runs the tests of test/guest in it. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { tools } from '../harness/kubectl.ts';
import { suite } from '../harness/suite.ts';
import { librariesOf, runMachine } from './machine.ts';

/** It takes about a minute on an idle machine. */
const TIMEOUT_MS = 540_000;
/** Node's own code fails at times on a processor that is emulated, before any test has begun. */
const BROKEN_BY_EMULATION = /was ended by SIG(SEGV|ILL|BUS|TRAP|ABRT)/;
const UNPACKED = '/var/unpacked';
/** What the guest's copy of the checkout holds. */
const SOURCES = ['package.json', 'pkg/log', 'pkg/runtime', 'pkg/wait', 'test'];
const PROGRAMS = ['dist/mini', 'dist/mini-runtime'];
/** Of this machine, for volumes. */
const FILE_SYSTEM_TOOLS = ['mkfs.ext4', 'e2fsck', 'resize2fs'];
/** Packages that the tests there import, directly or not. */
const PACKAGES = ['uvu', 'dequal', 'diff', 'kleur', 'mri', 'sade'];

/** Lays the executable out here: the guest, many times slower, would take half a minute for it. */
function layOut(): string {
  const dir = mkdtempSync(join(tmpdir(), 'mini-vm-unpacked-'));
  execFileSync('dist/mini', ['version'], { env: { ...process.env, MINI_UNPACK_DIR: dir } });
  return dir;
}

async function guestFiles(unpacked: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map([[unpacked, UNPACKED]]);
  const packages = PACKAGES.map((name) => `node_modules/${name}`);
  for (const path of [...SOURCES, ...PROGRAMS, ...packages])
    files.set(resolve(path), `/work/${path}`);
  const node = process.execPath;
  files.set(node, '/bin/node');
  const fileSystemTools = FILE_SYSTEM_TOOLS.map((name) => `/usr/sbin/${name}`);
  for (const tool of fileSystemTools) files.set(tool, `/sbin/${tool.split('/').at(-1)}`);
  for (const program of [node, ...fileSystemTools])
    for (const library of librariesOf(program)) files.set(library, library);
  files.set((await tools()).kubectl, '/bin/kubectl');
  return files;
}

suite('cgroup v2 machine', ({ test, cleanup }) => {
  const boot = async () => {
    for (const program of PROGRAMS)
      if (!existsSync(program)) throw new Error(`${program} is missing: npm run build`);
    const unpacked = layOut();
    cleanup(() => rmSync(unpacked, { recursive: true }));
    const files = await guestFiles(unpacked);
    const environment = `MINI_UNPACK_DIR=${UNPACKED} MINI_RUNTIME_HELPER=dist/mini-runtime`;
    const script = `cd /work && ${environment} node test/run.ts test/guest\n`;
    const run = () => runMachine({ files, script, timeoutMs: TIMEOUT_MS });
    let { status, output } = await run();
    if (BROKEN_BY_EMULATION.test(output)) {
      process.stderr.write(`Node crashed in the emulated machine; booted again:\n${output}`);
      ({ status, output } = await run());
    }
    assert.is(status, 0, output);
    assert.match(output, /\n[1-9]\d* passed, 0 failed\r?\n/, output);
  };
  test('passes the tests of helper and executable', boot, 2 * TIMEOUT_MS + 30_000);
});
