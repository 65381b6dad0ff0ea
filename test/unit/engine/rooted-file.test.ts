/** Reading files of a layered root: what wins, what is hidden, and that links do not lead out. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { readRootedFile } from '../../../pkg/engine/rooted-file.ts';
import { suite } from '../../harness/suite.ts';

suite('files of a layered root', ({ test, cleanup }) => {
  function layers(count: number): string[] {
    const root = mkdtempSync(join(tmpdir(), 'mini-rooted-'));
    cleanup(() => rmSync(root, { recursive: true, force: true }));
    return Array.from({ length: count }, (_, at) => {
      const layer = join(root, String(at));
      mkdirSync(layer);
      return layer;
    });
  }
  function write(root: string | undefined, path: string, content: string): void {
    const file = join(root ?? '', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const at = (root: string | undefined, path: string) => join(root ?? '', path);

  test('the topmost layer that has a file wins', () => {
    const [top, middle, base] = layers(3);
    write(base, 'etc/passwd', 'base');
    write(base, 'etc/group', 'base');
    write(middle, 'etc/passwd', 'middle');
    write(top, 'other/file', '');
    const roots = [top, middle, base].map(String);
    assert.is(readRootedFile(roots, '/etc/passwd'), 'middle');
    assert.is(readRootedFile(roots, 'etc/group'), 'base');
    assert.is(readRootedFile(roots, '/etc/none'), undefined);
    assert.is(readRootedFile(roots, '/etc'), undefined);
    assert.is(readRootedFile(roots, '/etc/passwd/x'), undefined);
    assert.is(readRootedFile([], '/etc/passwd'), undefined);
  });

  test('whiteouts hide files, and directories that replace others', () => {
    const [top, base] = layers(2);
    write(base, 'etc/passwd', 'base');
    write(base, 'gone/file', 'base');
    mkdirSync(at(top, 'etc'));
    execFileSync('mknod', [at(top, 'etc/passwd'), 'c', '0', '0']);
    execFileSync('mknod', [at(top, 'gone'), 'c', '0', '0']);
    const roots = [top, base].map(String);
    assert.is(readRootedFile(roots, '/etc/passwd'), undefined);
    assert.is(readRootedFile(roots, '/gone/file'), undefined);
  });

  test('links are followed inside the root only', () => {
    const [top, base] = layers(2);
    const outside = at(base, '../secret');
    writeFileSync(outside, 'secret');
    write(base, 'usr/lib/passwd', 'inside');
    mkdirSync(at(base, 'etc'));
    symlinkSync('../usr/lib/passwd', at(base, 'etc/relative'));
    symlinkSync('/usr/lib/passwd', at(base, 'etc/absolute'));
    symlinkSync(outside, at(base, 'etc/out'));
    symlinkSync(`../../../../../../../..${outside}`, at(base, 'etc/climbs'));
    symlinkSync('/etc/loop', at(base, 'etc/loop'));
    symlinkSync('usr/lib', at(top, 'short'));
    execFileSync('mkfifo', [at(base, 'etc/pipe')]);
    const roots = [top, base].map(String);
    assert.is(readRootedFile(roots, '/etc/relative'), 'inside');
    assert.is(readRootedFile(roots, '/etc/absolute'), 'inside');
    assert.is(readRootedFile(roots, '/short/passwd'), 'inside');
    assert.is(readRootedFile(roots, '/../../short/./passwd'), 'inside');
    for (const name of ['out', 'climbs', 'loop', 'pipe']) {
      assert.is(readRootedFile(roots, `/etc/${name}`), undefined, name);
    }
  });
});
