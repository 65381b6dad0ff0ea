/** The command line as containerd's shim and conmon call an OCI runtime. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { createBundle } from './bundle.ts';

suite('runtime command line', ({ test, cleanup }) => {
  const setUp = async () => {
    const made = await createBundle();
    cleanup(() => made.close());
    return made;
  };

  test("runs in the foreground with the caller's stdio and passes the exit code on", async () => {
    const { bundle, oci, config } = await setUp();
    config(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    const result = oci('run', '--bundle', bundle, 'a');
    assert.equal([result.status, result.stdout, result.stderr], [3, 'out\n', 'err\n']);
    assert.match(oci('state', 'a').stderr, /does not exist/);
  });

  test('creates, starts, executes, kills and deletes', async () => {
    const { dir, oci, create, config } = await setUp();
    config(['sleep', '100']);
    const pidFile = join(dir, 'pid');
    assert.is(create('--pid-file', pidFile, 'a').status, 0);
    const state = () => JSON.parse(oci('state', 'a').stdout);
    assert.is(state().status, 'created');
    assert.is(String(state().pid), readFileSync(pidFile, 'utf8'));
    assert.is(oci('start', 'a').status, 0);
    assert.is(state().status, 'running');
    assert.match(oci('start', 'a').stderr, /it is running/);
    const echoed = oci('exec', 'a', 'sh', '-c', 'echo $$ inside; exit 4');
    assert.is(echoed.status, 4);
    assert.match(echoed.stdout, /inside\n$/);
    const process_ = join(dir, 'process.json');
    writeFileSync(
      process_,
      JSON.stringify({
        args: ['id', '-u'],
        cwd: '/',
        env: ['PATH=/bin'],
        user: { uid: 99, gid: 0 },
      }),
    );
    assert.is(oci('exec', '--process', process_, 'a').stdout, '99\n');
    assert.is(oci('pause', 'a').status, 0);
    assert.is(state().status, 'paused');
    assert.is(oci('resume', 'a').status, 0);
    assert.equal(JSON.parse(oci('ps', '--format', 'json', 'a').stdout), [state().pid]);
    assert.match(oci('list').stdout, /^a +\d+ +running/m);
    const resources = join(dir, 'resources.json');
    writeFileSync(resources, JSON.stringify({ pids: { limit: 44 } }));
    assert.is(oci('update', '--resources', resources, 'a').status, 0);
    assert.match(oci('delete', 'a').stderr, /not stopped/);
    assert.is(oci('kill', 'a', 'KILL').status, 0);
    while (state().status !== 'stopped') await new Promise((done) => setImmediate(done));
    assert.is(oci('delete', 'a').status, 0);
    assert.is(oci('delete', '--force', 'a').status, 0);
    assert.is(oci('delete', 'a').status, 1);
    assert.match(
      readFileSync(join(dir, 'log'), 'utf8'),
      /"level":"error","msg":"container \\"a\\" does not exist"/,
    );
  });

  test('sends the terminal to the console socket', async () => {
    const { dir, bundle, oci, create, config } = await setUp();
    config(['tty'], { hasTerminal: true });
    assert.match(oci('create', '--bundle', bundle, 'b').stderr, /needs --console-socket/);
    const path = join(dir, 'console.sock');
    const server = createServer().listen(path);
    cleanup(() => void server.close());
    await new Promise((done) => server.once('listening', done));
    const connected = new Promise((done) => server.once('connection', done));
    assert.is(create('--console-socket', path, 'a').status, 0);
    await connected;
    assert.is(JSON.parse(oci('state', 'a').stdout).status, 'created');
  });

  test('says what it is and can do, and refuses what it does not know', async () => {
    const { oci } = await setUp();
    assert.match(oci('--version').stdout, /^mini-runtime version \d/);
    const features = JSON.parse(oci('features').stdout);
    assert.ok(features.linux.namespaces.includes('network'));
    assert.is(features.linux.seccomp.enabled, true);
    assert.is(features.hooks.length, 6);
    assert.ok(features.linux.namespaces.includes('time'));
    assert.ok(features.linux.seccomp.archs.includes('SCMP_ARCH_AARCH64'));
    assert.match(oci('checkpoint', 'a').stderr, /unknown command "checkpoint"/);
    assert.match(oci('create', '--no-such', 'a').stderr, /unknown option "--no-such"/);
    assert.match(oci('kill', 'a', 'NOPE').stderr, /unknown signal/);
    assert.match(oci('state', '../x').stderr, /invalid container id/);
    assert.ok(!existsSync('/run/mini/containers/x'));
  });
});
