/**
 * A short run of `make -C runtime fuzz`, always with the same inputs: what reads other people's data, built with
 * sanitizers. An input that they report ends the run with a failure.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';

const BUILD_TIMEOUT_MS = 480_000;
const SEED = '1';
const CORPUS = join(import.meta.dirname, 'corpus');

suite('fuzzing', ({ test, cleanup }) => {
  test(
    'what images, clients, containers, other runtimes and netlink give is read without an error of memory',
    () => {
      const dir = mkdtempSync(join(tmpdir(), 'mini-fuzz-'));
      cleanup(() => rmSync(dir, { recursive: true }));
      execFileSync('make', ['-s', '-j2', '-C', resolve('runtime'), 'fuzz-build'], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      for (const [target, ending, runs] of [
        ['config', '.json', '20000'],
        ['frames', '.frames', '10000'],
        ['tar', '.tar', '20000'],
        ['texts', '.text', '1000'],
        ['state', '.state', '1000'],
        ['messages', '.messages', '10000'],
      ] as const) {
        const inputs = readdirSync(CORPUS)
          .filter((name) => name.endsWith(ending))
          .sort();
        const paths = inputs.map((name) => join(CORPUS, name));
        const fuzz = resolve('dist/mini-runtime-fuzz');
        const { status, stdout, stderr } = spawnSync(fuzz, [target, SEED, runs, ...paths], {
          cwd: dir,
          encoding: 'utf8',
        });
        assert.is(status, 0, stderr);
        assert.is(stdout, `${target}: ${runs} inputs\n`);
      }
    },
    BUILD_TIMEOUT_MS,
  );
});
