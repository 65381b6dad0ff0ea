/** What the node makes of a claim, on the real helper, by an agent that is killed between any two steps. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import {
  backingOf,
  checkBacking,
  mountBacking,
  removeBacking,
} from '../../pkg/agent/volumes/backing.ts';
import type { VolumeHost } from '../../pkg/engine/engine.ts';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import { attachedFiles } from '../harness/leaks.ts';
import { rejects, suite } from '../harness/suite.ts';
import { helperPath } from '../runtime/fixture.ts';
import { eventually } from './control-plane.ts';

const BYTES = 16 * 1024 * 1024;
/** More than any of the ways has. */
const STEPS_MAX = 4;

/** Dies at the call of this number, before or after the host has done it. */
function dying(host: VolumeHost, atCall: number, isDone: boolean): VolumeHost {
  let calls = 0;
  return new Proxy(host, {
    get:
      (target, name: keyof VolumeHost) =>
      async (...args: readonly unknown[]) => {
        const call = target[name] as (...given: readonly unknown[]) => Promise<unknown>;
        if (calls++ !== atCall) return call(...args);
        if (isDone) await call(...args).catch(() => undefined);
        throw new Error('killed');
      },
  });
}

suite('what a claim is made of', ({ test, cleanup }) => {
  async function start() {
    const dir = mkdtempSync(join(tmpdir(), 'mini-backing-'));
    const runtime = await createRuntime({
      helper: helperPath(),
      runDir: join(dir, 'run'),
      log: silent,
    });
    const directory = join(dir, 'storage');
    cleanup(async () => {
      await runtime.close();
      // Whoever has made a mount namespace meanwhile holds a copy of the mount for as long.
      const left = () => attachedFiles().filter((file) => file.includes(basename(dir)));
      await eventually(() => left().length === 0, left);
      rmSync(dir, { recursive: true });
    });
    /** What lies on the disk. */
    const all = () =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
        (path) => path !== '.images',
      );
    return { runtime, directory, all };
  }

  /** An agent dies at this step; the next one finishes what it began, or only removes it. Tells whether it died. */
  async function dieAt(
    { runtime, directory }: Awaited<ReturnType<typeof start>>,
    [step, isDone, isBlock]: readonly [step: number, isDone: boolean, isBlock: boolean],
  ): Promise<boolean> {
    const backing = backingOf(directory, join(directory, `pvc-${step}_a_b`), isBlock);
    const begun = await mountBacking(dying(runtime, step, isDone), backing, BYTES).then(
      () => 'made',
      (error: Error) => error.message,
    );
    if (isDone) {
      const { path } = await mountBacking(runtime, backing, BYTES);
      const info = statSync(path);
      assert.ok(isBlock ? info.isBlockDevice() : (info.mode & 0o777) === 0o777, path);
    }
    await removeBacking(runtime, backing);
    assert.ok(['made', 'killed'].includes(begun), begun);
    return begun === 'killed';
  }

  for (const isBlock of [false, true]) {
    const kind = isBlock ? 'a device' : 'a directory';
    test(`${kind} that was begun is finished by the next agent, or removed with all of it`, async () => {
      const node = await start();
      let deaths = 0;
      for (let step = 0; step < STEPS_MAX; step++) {
        for (const isDone of [false, true]) {
          if (await dieAt(node, [step, isDone, isBlock])) deaths++;
          assert.equal(node.all(), [], `step ${step}`);
        }
      }
      assert.ok(deaths >= 4, `killed ${deaths} times`);
    });
  }

  test('a file system that was begun is begun again, and one of a claim that is gone is removed', async () => {
    const { runtime, directory, all } = await start();
    const backing = backingOf(directory, join(directory, 'pvc-1_a_b'), false);
    mkdirSync(dirname(backing.image), { recursive: true });
    mkdirSync(backing.path);
    writeFileSync(`${backing.image}.part`, 'half of it');
    await mountBacking(runtime, backing, BYTES);
    assert.is(readdirSync(dirname(backing.image)).length, 1);
    await removeBacking(runtime, backing);
    writeFileSync(`${backing.image}.part`, 'half of it');
    await removeBacking(runtime, backing);
    assert.equal(all(), []);
  });

  test('what was made and is gone, cut off or another thing is told by its file', async () => {
    const { runtime, directory } = await start();
    for (const isBlock of [false, true]) {
      const backing = backingOf(directory, join(directory, `pvc-${isBlock}_a_b`), isBlock);
      const { kind } = await mountBacking(runtime, backing, BYTES);
      const made = { kind, bytes: BYTES };
      await checkBacking(backing, made);
      const file = kind === 'image' ? backing.image : backing.path;
      if (kind !== 'directory') {
        truncateSync(file, BYTES / 2);
        assert.match(
          String(await rejects(checkBacking(backing, made))),
          `${file} was cut off, it has ${BYTES / 2} bytes of ${BYTES}`,
        );
      }
      await removeBacking(runtime, backing);
      assert.match(String(await rejects(checkBacking(backing, made))), `${file} does not exist`);
      writeFileSync(backing.path, '');
      const other = checkBacking(backing, { kind: 'directory', bytes: BYTES });
      assert.match(String(await rejects(other)), `${backing.path} is not the directory`);
    }
  });

  test('a volume elsewhere is none of this node', () => {
    for (const path of ['/other/pvc-1_a_b', '/data/storage/.images', '/data/storage/a/b']) {
      assert.throws(
        () => backingOf('/data/storage', path, false),
        /this node has its volumes in \/data\/storage/,
      );
    }
  });

  test('a directory with data is not hidden below an image when its quota has gone', async () => {
    const { runtime, directory } = await start();
    const backing = backingOf(directory, join(directory, 'pv_default_a'), false);
    mkdirSync(backing.path, { recursive: true });
    const file = join(backing.path, 'data');
    writeFileSync(file, 'kept');
    const told = String(await rejects(mountBacking(runtime, backing, BYTES)));
    assert.match(told, `${backing.path} holds data, but its file system keeps no project quotas`);
    assert.is(statSync(file).size, 4);
  });
});
