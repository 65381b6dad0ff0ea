/** Who uses which volume, as files. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { VolumeUsers } from '../../../../pkg/agent/volumes/volume-users.ts';
import { suite } from '../../../harness/suite.ts';

suite('users of volumes', ({ test, cleanup }) => {
  const directory = () => {
    const made = mkdtempSync(join(tmpdir(), 'mini-users-'));
    cleanup(() => rmSync(made, { recursive: true }));
    return made;
  };

  test('are known again, by volume and by pod', async () => {
    const top = directory();
    const users = new VolumeUsers(top);
    await users.add('a', 'pod1');
    await users.add('b', 'pod1');
    await users.add('b', 'pod2');
    await users.remove('a', 'pod3');
    const again = new VolumeUsers(top);
    assert.equal([...(await again.of('b'))].sort(), ['pod1', 'pod2']);
    assert.equal([...(await again.volumesOf('pod1'))].sort(), ['a', 'b']);
    await again.remove('a', 'pod1');
    assert.equal(await again.volumesOf('pod1'), ['b']);
  });

  test('are none without a directory, but a failure is told, not taken for none', async () => {
    const top = directory();
    assert.equal(await new VolumeUsers(join(top, 'absent')).pods(), []);
    writeFileSync(join(top, 'odd'), '');
    assert.equal(await new VolumeUsers(top).of('odd'), []);
    const tooLong = new VolumeUsers(join(top, 'x'.repeat(300)));
    let code: unknown;
    await tooLong.of('a').catch((error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    assert.is(code, 'ENAMETOOLONG');
  });
});
