/** State files: whole or not at all, and few writes for many changes. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readStateFile, StateFile } from '../../../pkg/runtime/atomic-file.ts';
import { rejects, suite } from '../../harness/suite.ts';

suite('state file', ({ test, cleanup }) => {
  async function scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'mini-state-'));
    cleanup(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }

  for (const isDurable of [true, false]) {
    test(`${isDurable ? 'durable' : 'quick'} saves at once become few, and the last state counts`, async () => {
      const directory = await scratch();
      const path = join(directory, 'state.json');
      const file = new StateFile(path, { isDurable });
      const taken: number[] = [];
      let value = 0;
      const save = () => {
        value += 1;
        const asked = value;
        const snapshot = () => {
          taken.push(value);
          return { value };
        };
        return file.save(snapshot).then(async () => {
          const { value: saved } = JSON.parse(await readFile(path, 'utf8'));
          assert.ok(saved >= asked, 'what was asked for is on disk before the answer');
        });
      };
      await Promise.all(Array.from({ length: 50 }, save));
      assert.equal(taken, [1, 50]);
      assert.equal(await readStateFile(path), { value: 50 });
      assert.equal(await readdir(directory), ['state.json']);
    });
  }

  test('a failed save is told to its callers, and the next one works', async () => {
    const directory = await scratch();
    const gone = join(directory, 'gone');
    const file = new StateFile(join(gone, 'state.json'), { isDurable: true });
    const both = await Promise.allSettled([file.save(() => 1), file.save(() => 2)]);
    assert.equal(
      both.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    await mkdir(gone);
    await file.save(() => 3);
    assert.is(await readStateFile(join(gone, 'state.json')), 3);
  });

  test('a missing file is undefined, a damaged one an error that names it', async () => {
    const directory = await scratch();
    const path = join(directory, 'state.json');
    assert.is(await readStateFile(path), undefined);
    await writeFile(path, '{"half":');
    assert.match(String(await rejects(readStateFile(path))), path);
  });
});
