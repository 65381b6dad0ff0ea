/** A bundle on disk and the helper's command line for it, as engines call an OCI runtime. */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as assert from 'uvu/assert';
import { createFixture, leaks, makeConfig, type Options } from './fixture.ts';

export interface Bundle {
  readonly dir: string;
  readonly bundle: string;
  /** Path of the container's cgroups below a controller's mount. */
  readonly cgroup: string;
  readonly helper: string;
  /** Options that stand before the verb. */
  readonly global: readonly string[];
  oci(...args: readonly string[]): SpawnSyncReturns<string>;
  /** Without pipes for output: the container that stays would hold them open. */
  create(...args: readonly string[]): SpawnSyncReturns<Buffer>;
  /** Writes config.json. */
  config(args: readonly string[], options?: Options): void;
  state(id?: string): Record<string, unknown>;
  close(): Promise<void>;
}

/** Containers are `a` and `b`; close() deletes them and fails when something stays. */
export async function createBundle(): Promise<Bundle> {
  const f = await createFixture();
  const dir = mkdtempSync(join(tmpdir(), 'mini-oci-'));
  const bundle = join(dir, 'bundle');
  const cgroup = `/minitest-${basename(dir)}`;
  mkdirSync(bundle);
  cpSync(f.rootfs, join(bundle, 'rootfs'), { recursive: true });
  const root = ['--root', join(dir, 'state')];
  const global = [...root, '--log', join(dir, 'log'), '--log-format', 'json'];
  const oci = (...args: readonly string[]) =>
    spawnSync(f.helper, [...global, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    dir,
    bundle,
    cgroup: `${cgroup}/a`,
    helper: f.helper,
    global,
    oci,
    create: (...args) =>
      spawnSync(f.helper, [...global, 'create', '--bundle', bundle, ...args], { stdio: 'ignore' }),
    config: (args, options = {}) =>
      writeFileSync(
        join(bundle, 'config.json'),
        JSON.stringify(makeConfig(args, { ...options, cgroup: `${cgroup}/a` })),
      ),
    state: (id = 'a') => JSON.parse(oci('state', id).stdout),
    async close() {
      for (const id of ['a', 'b']) oci('delete', '--force', id);
      const left = leaks(dir, cgroup);
      rmSync(dir, { recursive: true });
      await f.close();
      assert.equal(left, []);
    },
  };
}
