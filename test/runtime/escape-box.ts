/**
 * A container in a bundle of its own, for those who try to get out of it. MINI_ESCAPES_RUNTIME names another runtime
 * than the helper to try them on.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as assert from 'uvu/assert';
import { createFixture, helperPath, leaks, makeConfig, type Options } from './fixture.ts';

const RUN_TIMEOUT_MS = 20_000;
const FOREIGN = process.env['MINI_ESCAPES_RUNTIME'];
export const RUNTIME = FOREIGN ?? helperPath();
const RACER = join(import.meta.dirname, 'attacks/racer.c');

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Box {
  /** Directory of the test; the bundle and its root file system lie in it. */
  readonly dir: string;
  readonly rootfs: string;
  readonly runtime: string;
  /** Writes config.json. */
  config(args: readonly string[], options?: Options, change?: (config: Config) => void): void;
  /** The runtime, with these fds inherited from 3 on. */
  oci(args: readonly string[], fds?: readonly number[]): Result;
  run(): Result;
  /** Lets the racer work until the end of the test, or until what it resolves to is called. */
  race(...args: readonly string[]): Promise<() => Promise<unknown>>;
  /** Ends the racers and removes the container. Throws when something of it is left. */
  close(): Promise<void>;
}

export interface Config {
  mounts: { destination: string; type?: string; source?: string; options?: string[] }[];
  [name: string]: unknown;
}

/** The container is `a`. */
export async function createBox(runtime: string): Promise<Box> {
  const fixture = await createFixture();
  const dir = mkdtempSync(join(tmpdir(), 'mini-escape-'));
  const bundle = join(dir, 'bundle');
  const rootfs = join(bundle, 'rootfs');
  const cgroup = `/minitest-${basename(dir)}`;
  cpSync(fixture.rootfs, rootfs, { recursive: true });
  for (const name of ['proc', 'sys', 'dev']) mkdirSync(join(rootfs, name));
  const racer = join(dir, 'racer');
  execFileSync('gcc', ['-O2', '-o', racer, RACER]);
  const racers: (() => Promise<unknown>)[] = [];
  const oci = (args: readonly string[], fds: readonly number[] = []): Result => {
    const { status, stdout, stderr } = spawnSync(runtime, ['--root', join(dir, 'state'), ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', ...fds],
      timeout: RUN_TIMEOUT_MS,
    });
    return { code: status ?? -1, stdout: `${stdout}`, stderr: `${stderr}` };
  };
  return {
    dir,
    rootfs,
    runtime,
    oci,
    config(args, options = {}, change = () => undefined) {
      const config = makeConfig(args, { ...options, cgroup: `${cgroup}/a` });
      const copy: Config = JSON.parse(JSON.stringify(config));
      change(copy);
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(copy));
    },
    run: () => oci(['run', '--bundle', bundle, 'a']),
    async race(...args) {
      const child = spawn(racer, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      const gone = new Promise((done) => child.once('close', done));
      const stop = () => {
        child.stdin?.end();
        return gone;
      };
      racers.push(stop);
      if (args[0] === 'console') await new Promise((done) => child.stdout?.once('data', done));
      return stop;
    },
    async close() {
      for (const stop of racers) await stop();
      oci(['delete', '--force', 'a']);
      // Others leave the parents of their groups.
      const left = FOREIGN === undefined ? leaks(join(dir, 'state'), cgroup) : [];
      rmSync(dir, { recursive: true });
      await fixture.close();
      assert.equal(left, []);
    },
  };
}
