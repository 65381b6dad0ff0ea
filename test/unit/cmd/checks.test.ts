/** Checks of the host: what each says where something is missing. */

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cgroupFindings } from '../../../cmd/checks/cgroups.ts';
import { dataFindings, volumesFinding } from '../../../cmd/checks/files.ts';
import { requireHost } from '../../../cmd/checks/host.ts';
import {
  featureFinding,
  kernelFindings,
  modulesFinding,
  versionFinding,
} from '../../../cmd/checks/kernel.ts';
import {
  clockFinding,
  memoryFinding,
  portFinding,
  userFinding,
} from '../../../cmd/checks/system.ts';
import { Flags } from '../../../cmd/command.ts';
import { findRuntimes } from '../../../cmd/runtimes.ts';
import { silent } from '../../../pkg/log/log.ts';
import { rejects, suite } from '../../harness/suite.ts';

const BRIDGE = {
  subject: 'bridge',
  option: 'CONFIG_BRIDGE',
  module: 'bridge',
  without: 'missing',
  means: 'no network',
} as const;

suite('checks of the host', ({ test, cleanup }) => {
  const scratch = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-check-'));
    cleanup(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
  };

  test('this machine has what the tests need', () => {
    assert.equal(
      kernelFindings().filter(({ level }) => level !== 'ok'),
      [],
    );
  });

  test('old kernels are told apart', () => {
    assert.is(versionFinding('6.1.0-18-amd64').level, 'ok');
    assert.is(versionFinding('5.6.0').level, 'ok');
    assert.is(versionFinding('5.4.0-100-generic').level, 'missing');
    assert.is(versionFinding('4.19.0').level, 'missing');
  });

  test('AppArmor and SELinux are named', () => {
    const text = (hasAppArmor: boolean, hasSeLinux: boolean) =>
      modulesFinding({ hasAppArmor, hasSeLinux }).text;
    assert.is(text(true, true), 'AppArmor, SELinux');
    assert.is(text(false, true), 'SELinux');
    assert.match(text(false, false), /^neither .* does not run$/);
  });

  test('a kernel feature is loaded, a module, built in, absent or not known', () => {
    const isLoaded = () => false;
    assert.is(featureFinding(BRIDGE, { isLoaded: () => true, config: '' }).level, 'ok');
    const modules = 'kernel/net/bridge/bridge.ko.xz: kernel/net/llc/llc.ko.xz';
    assert.is(featureFinding(BRIDGE, { isLoaded, modules }).text, 'a module');
    assert.is(featureFinding(BRIDGE, { isLoaded, config: 'CONFIG_BRIDGE=y\n' }).text, 'built in');
    const absent = featureFinding(BRIDGE, { isLoaded, config: '# CONFIG_BRIDGE is not set\n' });
    assert.is(absent.level, 'missing');
    assert.match(absent.mend ?? '', 'CONFIG_BRIDGE');
    assert.match(featureFinding(BRIDGE, { isLoaded }).text, 'not known');
  });

  test('cgroups of both versions, and controllers that are missing', () => {
    const v2 = scratch();
    writeFileSync(join(v2, 'cgroup.controllers'), 'cpuset cpu io pids\n');
    const found = cgroupFindings(v2);
    assert.is(found[0]?.text, 'version 2');
    const memory = found.find(({ subject }) => subject === 'cgroup memory');
    assert.is(memory?.level, 'degraded');
    assert.match(memory?.mend ?? '', 'cgroup_enable=memory');
    const v1 = scratch();
    for (const name of ['memory', 'cpu', 'pids']) {
      mkdirSync(join(v1, name));
      writeFileSync(join(v1, name, 'cgroup.procs'), '');
    }
    assert.is(cgroupFindings(v1)[0]?.text, 'version 1');
    assert.ok(cgroupFindings(v1).every(({ level }) => level === 'ok'));
    assert.is(cgroupFindings(scratch())[0]?.level, 'degraded');
  });

  test('a directory need not exist yet', () => {
    assert.ok(dataFindings(join(scratch(), 'not', 'there')).every(({ level }) => level === 'ok'));
  });

  test('volumes are limited by quotas, by a file each, or not at all', () => {
    const { level, text } = volumesFinding(scratch());
    const hasTool = existsSync('/usr/sbin/mkfs.ext4');
    assert.is(level, hasTool ? 'ok' : 'degraded');
    assert.match(text, hasTool ? /^limited by/ : /no claim gets a volume/);
  });

  test('a port in use says what to do', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    cleanup(() => new Promise<void>((done) => server.close(() => done())));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const found = await portFinding('127.0.0.1', port);
    assert.is(found.level, 'missing');
    assert.match(found.mend ?? '', '--https-listen-port');
    assert.match((await portFinding('192.0.2.1', port)).text, 'no address of this host');
  });

  test('clock, memory and user', () => {
    assert.is(clockFinding(0).level, 'degraded');
    assert.is(clockFinding().level, 'ok');
    assert.is(memoryFinding(256e6).level, 'degraded');
    assert.is(memoryFinding(4e9).level, 'ok');
    assert.is(userFinding(1000).level, 'missing');
  });

  test('what is missing stops a start, what degrades is told', () => {
    const degraded = { level: 'degraded', subject: 'a', text: 'b', mend: 'c' } as const;
    assert.equal(requireHost([degraded], silent), ['a: b; c']);
    const missing = { level: 'missing', subject: 'x', text: 'y' } as const;
    assert.throws(() => requireHost([degraded, missing], silent), /x: y/);
  });

  test('runtimes: which answer, and why others do not', async () => {
    const dir = scratch();
    const script = (name: string, text: string, mode = 0o755) => {
      writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`, { mode });
      return join(dir, name);
    };
    const features = '{"linux":{"namespaces":["pid"]}}';
    const good = script('good', `[ "$2" = features ] && echo '${features}' || echo "good $1 1.0"`);
    const asked = [
      `good=${good},--x`,
      `old=${script('old', '[ "$1" = --version ] && echo old')}`,
      `gone=${dir}/gone`,
      `plain=${script('plain', '', 0o644)}`,
      `folder=${dir}`,
      `bad=${script('bad', 'echo what >&2; exit 3')}`,
    ];
    const values = new Map<string, unknown>([
      ['runtime', asked],
      ['run-dir', '/run/mini'],
    ]);
    const { found, findings } = await findRuntimes(new Flags(values, new Set(['runtime'])));
    const able = { recursiveReadOnlyMounts: true };
    assert.equal(found, [
      {
        name: 'good',
        path: good,
        args: ['--x'],
        root: '/run/mini/handlers/good',
        features: { version: 'good --x 1.0', userNamespaces: false, ...able },
      },
      {
        name: 'old',
        path: join(dir, 'old'),
        args: [],
        root: '/run/mini/handlers/old',
        features: { version: 'old', userNamespaces: true, ...able },
      },
    ]);
    assert.equal(
      findings.map(({ level }) => level),
      ['ok', 'ok', 'degraded', 'degraded', 'degraded', 'degraded'],
    );
    const texts = findings.map(({ text }) => text.replaceAll(dir, '').replace(/,? so that.*/, ''));
    assert.equal(texts.slice(0, 5), [
      '/good (good --x 1.0)',
      '/old (old)',
      'there is no file /gone',
      '/plain is not executable',
      ' is no file',
    ]);
    assert.match(texts[5] ?? '', /it does not answer --version: .*bad/);
    const twice = new Map<string, unknown>([['runtime', ['a=/a', 'a=/b']]]);
    const error = await rejects(findRuntimes(new Flags(twice, new Set(['runtime']))));
    assert.match(String(error), /--runtime a is given twice/);
  });
});
