/**
 * Runs test files, each in a process of its own: `node test/run.ts [--jobs N] <file or folder>…`. The last line is
 * `N passed, N failed`; exits 1 when a test fails, a file checks nothing, hangs or leaves a handle open.
 */

import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
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
    child.once('close', (code) => {
      clearTimeout(timer);
      const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const skipped = Number(/Skipped:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const isClean = code === 0 && total > 0;
      const failed = total - passed - skipped;
      resolve({ passed, failed: isClean ? failed : Math.max(failed, 1), output });
    });
  });
}

async function main(args: readonly string[]): Promise<void> {
  const at = args.indexOf('--jobs');
  const jobs = at < 0 ? 1 : Number(args[at + 1]);
  const paths = at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)];
  const files = paths.flatMap(filesUnder);
  if (files.length === 0) throw new Error(`No test files under ${paths.join(' ')}`);
  let passed = 0;
  let failed = 0;
  const queue = [...files];
  const worker = async () => {
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
  await Promise.all(Array.from({ length: jobs }, worker));
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main(process.argv.slice(2));
