/** Daemon, shim or client are killed while a container is made: it runs once, or never, and nothing is left of it. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { connectUnix } from '../../pkg/runtime/unix-connect.ts';
import { sleep } from '../../pkg/wait/clock.ts';
import { suite } from '../harness/suite.ts';
import { createFixture, type Fixture } from './fixture.ts';

const POLL_MS = 5;
const UP_ONCE = ['stdout F up'];

async function until(check: () => boolean): Promise<void> {
  while (!check()) await sleep(POLL_MS);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

const nameOf = (pid: number) => read(`/proc/${pid}/comm`).trim();
const parentOf = (pid: number) => Number(/^PPid:\s*(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1]);

/** Processes of this name that belong to the fixture. */
function pidsOf(f: Fixture, name: string): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => nameOf(pid) === name && read(`/proc/${pid}/cmdline`).includes(f.runDir));
}

/** Kills what there must be one of. The first process of a container has its shim's name at first. */
function kill(f: Fixture, name: string): void {
  const pids = pidsOf(f, name).filter((pid) => nameOf(parentOf(pid)) !== 'mini-shim');
  assert.is(pids.length, 1, name);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

/** Processes that wait for a lock. */
function waiting(): readonly number[] {
  const lines = readFileSync('/proc/locks', 'utf8').matchAll(/-> FLOCK +\w+ +\w+ +(\d+)/g);
  return [...lines].map(([, pid]) => Number(pid));
}

/** A hook at which the first making of a container stays until the gate is opened. */
function gateOf(f: Fixture, kind: 'createRuntime' | 'poststart') {
  const at = join(f.dir, 'gate');
  execFileSync('mkfifo', [at]);
  const script = `mkdir ${at}-reached 2>/dev/null && cat ${at} >/dev/null; true`;
  const hook = { path: '/bin/busybox', args: ['sh', '-c', script] };
  return {
    config: { hooks: { [kind]: [hook] } },
    reached: () => until(() => existsSync(`${at}-reached`)),
    async open() {
      await (await open(at, 'w')).close();
    },
  };
}

suite('runtime kills', ({ test, cleanup }) => {
  const setUp = async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    return f;
  };
  const program = ['sh', '-c', 'echo up; read line; exit 7'];
  /** What a client sends that dies later. */
  const request = async (f: Fixture, config: Readonly<Record<string, unknown>>) => {
    const socket = await connectUnix(join(f.runDir, 'runtime.sock'));
    const spec = f.spec('a', program, { hasStdin: true, config });
    socket.write(`${JSON.stringify({ verb: 'run', ...spec })}\n`);
    return socket;
  };
  const isGone = (f: Fixture) => !existsSync(join(f.runDir, 'containers/a'));
  const endsWith7 = async (f: Fixture) => {
    const session = await f.runtime.attach('a', { hasStdin: true });
    session.stdout.write('\n');
    assert.is((await f.exit('a')).exitCode, 7);
    session.close();
    assert.equal(f.log('a'), UP_ONCE);
  };

  test('the daemon while it is made: who asked is answered, and the next daemon waits for it', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'createRuntime');
    const ran = f.runtime.run(f.spec('a', program, { hasStdin: true, config: gate.config }));
    await gate.reached();
    kill(f, 'mini-serve');
    let isListed = false;
    const listed = f.runtime.list().finally(() => {
      isListed = true;
    });
    const isWaiting = (pid: number) => nameOf(parentOf(pid)) === 'mini-serve';
    // The request, and the one that looks after the shims of earlier daemons.
    const own = () => pidsOf(f, 'mini-job').filter((pid) => waiting().includes(pid));
    await until(() => isListed || own().some(isWaiting));
    await gate.open();
    assert.is((await ran).status, 'running');
    assert.equal(
      (await listed).map(({ id, status }) => [id, status]),
      [['a', 'running']],
    );
    await endsWith7(f);
  });

  test('the shim while it makes it: it is made again', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'createRuntime');
    const ran = f.runtime.run(f.spec('a', program, { hasStdin: true, config: gate.config }));
    await gate.reached();
    kill(f, 'mini-shim');
    assert.is((await ran).status, 'running');
    await gate.open();
    await endsWith7(f);
  });

  test('the shim after the program began: it is told as lost, and not run again', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'poststart');
    const ran = f.runtime.run(f.spec('a', program, { hasStdin: true, config: gate.config }));
    await gate.reached();
    kill(f, 'mini-shim');
    const { status, exit } = await ran;
    assert.equal([status, exit?.exitCode, exit?.isLost], ['stopped', 137, true]);
    assert.equal(await f.exit('a'), exit);
    await gate.open();
  });

  test('the client after the program began: it goes on', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'poststart');
    const client = await request(f, gate.config);
    await gate.reached();
    client.destroy();
    await gate.open();
    assert.is((await f.runtime.state('a'))?.status, 'running');
    await endsWith7(f);
  });

  test('the client before: nothing runs, and nothing is left', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'createRuntime');
    const client = await request(f, gate.config);
    await gate.reached();
    client.destroy();
    await gate.open();
    assert.is(await f.runtime.state('a'), undefined);
    await until(() => isGone(f));
    assert.equal(f.log('a'), []);
  });

  test('shim and client: what was made so far is removed', async () => {
    const f = await setUp();
    const gate = gateOf(f, 'createRuntime');
    const client = await request(f, gate.config);
    await gate.reached();
    client.destroy();
    kill(f, 'mini-shim');
    await until(() => isGone(f));
    await gate.open();
    assert.equal(readdirSync(join(f.runDir, 'exits')), []);
  });

  test('a shim that an earlier daemon has born: its container is ended and told', async () => {
    const f = await setUp();
    const { pid } = await f.runtime.run(f.spec('a', ['sleep', '1000']));
    await f.runtime.run(f.spec('b', ['sleep', '1000']));
    kill(f, 'mini-serve');
    assert.is((await f.runtime.list()).length, 2);
    await until(() => pidsOf(f, 'mini-watch').length === 1);
    // Whoever watches them may be killed, too.
    kill(f, 'mini-watch');
    const of = (id: string) => (shim: number) =>
      read(`/proc/${shim}/cmdline`).includes(`shim\0${id}\0`) ||
      read(`/proc/${shim}/cmdline`).includes(`shim ${id} `);
    for (const id of ['a', 'b']) {
      const [shim] = pidsOf(f, 'mini-shim').filter(of(id));
      process.kill(shim ?? 0, 'SIGKILL');
      const exit = await f.exit(id);
      assert.equal([exit.exitCode, exit.isLost], [137, true]);
    }
    await until(() => !existsSync(`/proc/${pid}`));
    await until(() => pidsOf(f, 'mini-watch').length === 0);
  });

  test('the maker of a sandbox: it is told without namespaces, and can be removed', async () => {
    const f = await setUp();
    const spec = { id: 's', hostname: 'h', namespaces: ['net', 'uts'] as const };
    await f.runtime.createSandbox(spec);
    // What a killed maker leaves.
    writeFileSync(join(f.runDir, 'sandboxes/s/unfinished'), '');
    assert.equal(await f.runtime.listSandboxes(), [{ id: 's', namespaces: {} }]);
    await f.runtime.deleteSandbox('s');
    await f.runtime.createSandbox(spec);
    const [{ namespaces } = { namespaces: {} }] = await f.runtime.listSandboxes();
    assert.equal(Object.keys(namespaces), ['net', 'uts']);
  });
});
