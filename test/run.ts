/**
 * Runs test files, each in a process of its own: `node test/run.ts <file or folder>…`. The last line is
 * `N passed, N failed`; exits 1 when a test fails, a file checks nothing, hangs or leaves a handle open.
 */

import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';

const FILE_TIMEOUT_MS = 10 * 60_000;
const RUNNER = new URL('./run-file.ts', import.meta.url).pathname;

/** Of files with hosts of their own: they wait for a third of their time or more. */
const SHARED_AT_ONCE = availableParallelism() + 1;
const HERE = new URL('.', import.meta.url).pathname;

interface Group {
  readonly files: readonly string[];
  readonly atOnce: number;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly output: string;
}

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join(path, name));
}

function runFile(file: string): Promise<Outcome> {
  const child = spawn(process.execPath, [RUNNER, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const timer = setTimeout(() => {
    output += `\n${file} took over ${FILE_TIMEOUT_MS} ms\n`;
    child.kill('SIGKILL');
  }, FILE_TIMEOUT_MS);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (signal) output += `\n${file} was ended by ${signal}\n`;
      const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const skipped = Number(/Skipped:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const isClean = code === 0 && total > 0;
      const failed = total - passed - skipped;
      resolve({ passed, failed: isClean ? failed : Math.max(failed, 1), output });
    });
  });
}

/**
 * Files in the order of their groups, longest first, each group with how many may run at once. What has hosts,
 * directories and cgroups of its own waits more than it computes; in the guest all files share one machine.
 */
function groupsOf(files: readonly string[]): readonly Group[] {
  const under = (...folders: readonly string[]) =>
    folders.flatMap((folder) => files.filter((file) => folderOf(file) === folder));
  const shared = under('vm', 'e2e', 'runtime', 'integration');
  const pure = under('unit', 'contract');
  const alone = files.filter((file) => !shared.includes(file) && !pure.includes(file));
  return [
    { files: pure, atOnce: availableParallelism() },
    { files: shared, atOnce: SHARED_AT_ONCE },
    { files: alone, atOnce: 1 },
  ];
}

/** Its folder below test/, e.g. 'e2e'. */
function folderOf(file: string): string {
  return relative(HERE, resolve(file)).split('/')[0] ?? '';
}

async function main(paths: readonly string[]): Promise<void> {
  const files = paths.flatMap(filesUnder);
  if (files.length === 0) throw new Error(`No test files under ${paths.join(' ')}`);
  let passed = 0;
  let failed = 0;
  const runAll = async (queue: string[]) => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const startedAt = Date.now();
      const outcome = await runFile(file);
      passed += outcome.passed;
      failed += outcome.failed;
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
      const name = relative('.', file);
      if (outcome.failed > 0) process.stdout.write(`${outcome.output}\n`);
      process.stdout.write(
        `${outcome.failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${outcome.passed} passed, ${outcome.failed} failed, ${seconds} s\n`,
      );
    }
  };
  for (const group of groupsOf(files)) {
    const queue = [...group.files];
    await Promise.all(Array.from({ length: group.atOnce }, () => runAll(queue)));
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main(process.argv.slice(2));
