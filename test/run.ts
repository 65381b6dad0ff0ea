/**
 * Runs test files, each in a process of its own: `node test/run.ts <file or folder>…`. The last line is
 * `N passed, N failed`; exits 1 when a test fails, a file checks nothing, hangs or leaves a handle open.
 */

import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';

const FILE_TIMEOUT_MS = 10 * 60_000;
const RUNNER = new URL('./run-file.ts', import.meta.url).pathname;

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

/** Pure logic may share the machine; whatever has time limits of its own runs alone. */
function isPure(file: string): boolean {
  return /(^|\/)test\/(unit|contract)\//.test(file);
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
  const pure = files.filter(isPure);
  await Promise.all(Array.from({ length: availableParallelism() }, () => runAll(pure)));
  await runAll(files.filter((file) => !isPure(file)));
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main(process.argv.slice(2));
