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

  test('fsGroup owns the files and may read them', async () => {
    const directory = await scratch();
    writePayload(directory, payload({ a: '1' }, 0o600), { gid: process.getgid?.() ?? 0 });
    assert.is((await stat(join(directory, 'a'))).mode & 0o777, 0o640);
    await chown(directory, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  });

  test('a subPath may not leave its volume, not by a link either', async () => {
    const directory = await scratch();
    await symlink('/etc', join(directory, 'out'));
    const mounts = (subPath: string) =>
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
        container: { name: 'c', volumeMounts: [{ name: 'v', mountPath: '/m', subPath }] },
        volumes: new Map([['v', directory]]),
        env: new Map(),
        files: new Map(),
      });
    assert.equal(
      (await mounts('deep/er')).map(({ source }) => source),
      [join(directory, 'deep/er')],
    );
    for (const path of ['out', 'out/new', '../x', '/etc']) {
      assert.match(String(await rejects(mounts(path))), /leaves its volume/, path);
    }
  });
});
