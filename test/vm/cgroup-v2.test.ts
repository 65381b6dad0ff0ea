/** Boots a machine with cgroup v2 and runs the tests of test/guest in it. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { tools } from '../harness/kubectl.ts';
import { suite } from '../harness/suite.ts';
import { librariesOf, runMachine } from './machine.ts';

/** It takes about a minute on an idle machine. */
const TIMEOUT_MS = 400_000;
/** What the guest's copy of the checkout holds. */
const SOURCES = ['package.json', 'pkg/log', 'pkg/runtime', 'pkg/wait', 'test'];
const PROGRAMS = ['dist/mini', 'dist/mini-runtime'];
/** Packages that the tests there import, directly or not. */
const PACKAGES = ['uvu', 'dequal', 'diff', 'kleur', 'mri', 'sade'];
async function guestFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const packages = PACKAGES.map((name) => `node_modules/${name}`);
  for (const path of [...SOURCES, ...PROGRAMS, ...packages])
    files.set(resolve(path), `/work/${path}`);
  const node = process.execPath;
  files.set(node, '/bin/node');
  for (const library of librariesOf(node)) files.set(library, library);
  files.set((await tools()).kubectl, '/bin/kubectl');
  return files;
}

suite('cgroup v2 machine', ({ test }) => {
  const boot = async () => {
    for (const program of PROGRAMS)
      if (!existsSync(program)) throw new Error(`${program} is missing: npm run build`);
    const script = `cd /work && MINI_RUNTIME_HELPER=dist/mini-runtime node test/run.ts test/guest\n`;
    const files = await guestFiles();
    const { status, output } = await runMachine({ files, script, timeoutMs: TIMEOUT_MS });
    assert.is(status, 0, output);
    assert.match(output, /\n[1-9]\d* passed, 0 failed\r?\n/, output);
    if (process.env['MINI_VM_OUTPUT']) process.stdout.write(output);
  };
  test('passes the tests of helper and executable', boot, TIMEOUT_MS + 60_000);
});
