/** Files of a volume change all at once, and never leave the volume. */

import {
  chown,
  lstat,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { writePayload } from '../../../../pkg/agent/volumes/atomic-writer.ts';
import { containerMounts } from '../../../../pkg/agent/volumes/mounts.ts';
import type { Payload } from '../../../../pkg/agent/volumes/payload-of.ts';
import { rejects, suite } from '../../../harness/suite.ts';

const payload = (files: Readonly<Record<string, string>>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

suite('agent: files of volumes', ({ test, cleanup }) => {
  async function scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'mini-volume-'));
    cleanup(() => rm(directory, { recursive: true }));
    return directory;
  }

  test('writes files behind ..data with their mode', async () => {
    const directory = await scratch();
    writePayload(directory, payload({ a: '1', 'd/b': '2' }, 0o400));
    assert.is(await readFile(join(directory, 'a'), 'utf8'), '1');
    assert.is(await readFile(join(directory, 'd/b'), 'utf8'), '2');
    assert.is((await stat(join(directory, 'a'))).mode & 0o777, 0o400);
    assert.is(await readlink(join(directory, 'a')), '..data/a');
    assert.ok((await lstat(join(directory, '..data'))).isSymbolicLink());
  });

  test('an update swaps the version, removes what is gone, and does nothing when nothing changed', async () => {
    const directory = await scratch();
    writePayload(directory, payload({ a: '1', b: '2' }));
    const before = await readlink(join(directory, '..data'));
    writePayload(directory, payload({ a: '1', b: '2' }));
    assert.is(await readlink(join(directory, '..data')), before);
    writePayload(directory, payload({ a: 'new', c: '3' }));
    assert.is(await readFile(join(directory, 'a'), 'utf8'), 'new');
    const names = (await readdir(directory)).filter((name) => !name.startsWith('..'));
    assert.equal(names.sort(), ['a', 'c']);
    const versions = (await readdir(directory)).filter((name) => name.startsWith('..'));
    assert.is(versions.length, 2, versions.join(' '));
  });

  test('directories and files have the modes that the kubelet gives them, and the owner they are to have', async () => {
    const directory = join(await scratch(), 'v');
    const modeOf = async (path: string) => (await stat(join(directory, path))).mode & 0o7777;
    const file = { data: Buffer.from('1'), mode: 0o600, uid: 1000 };
    writePayload(directory, new Map([['d/e/a', file]]), { mode: 0o1777 });
    const own = await Promise.all(['', 'd/e', '..data', 'd/e/a'].map(modeOf));
    assert.equal(own, [0o1777, 0o755, 0o755, 0o600]);
    assert.is((await stat(join(directory, 'd/e/a'))).uid, 1000);
    await rm(directory, { recursive: true });
    writePayload(directory, new Map([['d/e/a', file]]), { mode: 0o1777, gid: 2000 });
    const group = await Promise.all(['', 'd/e', '..data', 'd/e/a'].map(modeOf));
    assert.equal(group, [0o3777, 0o2755, 0o2755, 0o640]);
    assert.is((await stat(join(directory, 'd/e'))).gid, 2000);
  });

  test('fsGroup owns the files and may read them', async () => {
    const directory = await scratch();
    writePayload(directory, payload({ a: '1' }, 0o600), { gid: process.getgid?.() ?? 0 });
    assert.is((await stat(join(directory, 'a'))).mode & 0o777, 0o640);
    await chown(directory, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  });

  test('a subPath may not leave its volume, not by a link either', async () => {
    const directory = await scratch();
    await symlink('/etc', join(directory, 'out'));
    const mounts = (mount: object) =>
      containerMounts({
        pod: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            name: 'p',
            namespace: 'n',
            uid: 'u',
            resourceVersion: '1',
            creationTimestamp: '',
          },
          spec: { containers: [] },
        },
        container: { name: 'c', volumeMounts: [{ name: 'v', mountPath: '/m', ...mount }] },
        volumes: new Map([['v', directory]]),
        env: new Map([
          ['UP', '../x'],
          ['DEEP', 'er'],
          ['EMPTY', ''],
        ]),
        files: new Map(),
      });
    for (const mount of [{ subPath: 'deep/er' }, { subPathExpr: 'deep/$(DEEP)' }]) {
      const [made] = await mounts(mount);
      assert.is(made?.source, join(directory, 'deep/er'));
    }
    const refused: readonly (readonly [mount: object, why: RegExp])[] = [
      [{ subPath: 'out' }, /subPath for volumeMount "v" of container "c": "out" leaves its volume/],
      [{ subPath: 'out/new' }, /leaves its volume by a link/],
      [{ subPath: '../x' }, /unable to provision SubPath `..\/x`: must not contain '..'/],
      [{ subPath: '/etc' }, /error SubPath `\/etc` must not be an absolute path/],
      [{ subPathExpr: '$(UP)' }, /unable to provision SubPath `..\/x`/],
      [{ subPathExpr: '$(NONE)/$(EMPTY)/$(DEEP)' }, /missing value for EMPTY, NONE$/],
    ];
    for (const [mount, why] of refused) assert.match(String(await rejects(mounts(mount))), why);
  });
});
