/** Which pods may use an image that was pulled with somebody's login. */

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ImageAccess } from '../../../../pkg/agent/images/image-access.ts';
import type { Image } from '../../../../pkg/image/image-store.ts';
import { silent } from '../../../../pkg/log/log.ts';
import { suite } from '../../../harness/suite.ts';

const ALICE = { username: 'alice', password: 'a' };
const BOB = { username: 'bob', password: 'b' };

suite('agent/image access', ({ test, cleanup }) => {
  function start() {
    const dataDir = mkdtempSync(join(tmpdir(), 'mini-access-'));
    cleanup(() => rmSync(dataDir, { recursive: true }));
    const there = new Set<string>();
    const images = { list: () => [...there].map((id) => ({ id }) as Image) };
    const open = () => ImageAccess.open({ dataDir, images, log: silent });
    return { open, there, path: join(dataDir, 'agent', 'image-access.json'), dataDir };
  }

  test('a login opens its image, for itself alone, also after a restart', async () => {
    const { open, path } = start();
    const access = await open();
    assert.is(access.allows('x', []), true, 'never pulled: for all');
    await access.grant('x', ALICE);
    await access.grant('x', BOB);
    for (const now of [access, await open()]) {
      assert.is(now.allows('x', [ALICE]), true);
      assert.is(now.allows('x', [{ username: 'eve', password: 'a' }, BOB]), true);
      assert.is(now.allows('x', [{ ...ALICE, password: 'b' }]), false);
      assert.is(now.allows('x', []), false);
      assert.is(now.allows('y', []), true);
    }
    assert.is(statSync(path).mode & 0o777, 0o600);
  });

  test('a pull without a login opens it for all, for good', async () => {
    const { open } = start();
    const access = await open();
    await access.grant('x', ALICE);
    await access.grant('x', undefined);
    await access.grant('x', BOB);
    assert.is((await open()).allows('x', []), true);
  });

  test('forgets images that are gone', async () => {
    const { open, there } = start();
    const access = await open();
    there.add('x');
    await access.grant('x', ALICE);
    there.delete('x');
    await access.grant('y', BOB);
    assert.is((await open()).allows('x', []), true);
    assert.is((await open()).allows('y', []), false);
  });

  test('sets a damaged file aside', async () => {
    for (const text of ['', '{"x":', '{"x":7}', '[1]']) {
      const { open, path, dataDir } = start();
      await (await open()).grant('x', ALICE);
      writeFileSync(path, text);
      const access = await open();
      assert.is(access.allows('x', []), true);
      assert.equal(readdirSync(join(dataDir, 'agent')), ['image-access.json.damaged']);
      await access.grant('x', BOB);
      assert.is((await open()).allows('x', []), false);
    }
  });
});
