/** Containers outlive the daemon and its client; exits that nobody heard are told later. */

import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../pkg/log/log.ts';
import { createRuntime } from '../../pkg/runtime/create-runtime.ts';
import type { Exit } from '../../pkg/runtime/runtime.ts';
import { connectUnix } from '../../pkg/runtime/unix-connect.ts';
import { sleep } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, textOf } from './fixture.ts';

const POLL_MS = 5;

/** The daemon: the process whose command names this run directory and whose name is its own. */
function daemonPid(runDir: string): number {
  return pidOf('mini-serve', runDir);
}

/** The process of this name whose command contains `text`. */
function pidOf(process: string, text: string): number {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      const comm = readFileSync(`/proc/${name}/comm`, 'utf8').trim();
      if (command.includes(text) && comm === process) return Number(name);
    } catch {
      // It has gone meanwhile.
    }
  }
  throw new Error(`No ${process} runs`);
}

/** Resolves when the process has ended and the machine's first process has taken it away. */
async function gone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await sleep(POLL_MS);
}

suite('runtime survival', ({ test, cleanup }) => {
  test('goes on after the daemon is killed: logs, exec, exit codes', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    await f.runtime.run(
      f.spec('a', ['sh', '-c', 'echo one; read x; echo two; exit 9'], { hasStdin: true }),
    );
    const session = await f.runtime.attach('a', { hasStdin: true });
    process.kill(daemonPid(f.runDir), 'SIGKILL');
    assert.is((await f.runtime.state('a'))?.status, 'running');
    session.stdout.write('\n');
    assert.is((await f.exit('a')).exitCode, 9);
    assert.equal(f.log('a'), ['stdout F one', 'stdout F two']);
  });

  test('keeps requests in flight when the daemon is killed, and loses none after', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const ids = Array.from({ length: 12 }, (_, at) => `c${at}`);
    const runs = ids.map((id, at) =>
      f.runtime.run(f.spec(id, ['sh', '-c', `exit ${at}`])).then(
        () => true,
        () => false,
      ),
    );
    process.kill(daemonPid(f.runDir), 'SIGKILL');
    const ran = await Promise.all(runs);
    for (const [at, id] of ids.entries()) {
      if (ran[at] !== true) await f.runtime.run(f.spec(`${id}x`, ['sh', '-c', `exit ${at}`]));
      assert.is((await f.exit(ran[at] === true ? id : `${id}x`)).exitCode, at);
    }
  });

  test('ends the container of a killed shim, and tells it as lost', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const { pid } = await f.runtime.run(f.spec('a', ['sleep', '1000']));
    const shim = pidOf('mini-shim', `mini-runtime shim a --run-dir ${f.runDir}`);
    process.kill(shim, 'SIGKILL');
    const exit = await f.exit('a');
    assert.equal([exit.exitCode, exit.isLost, exit.isOomKilled], [137, true, false]);
    const state = await f.runtime.state('a');
    assert.equal([state?.status, state?.exit], ['stopped', exit]);
    await gone(pid);
  });

  test('notices the container of a shim that was killed while no daemon ran', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const { pid } = await f.runtime.run(f.spec('a', ['sleep', '1000']));
    const shim = pidOf('mini-shim', `shim a --run-dir ${f.runDir}`);
    process.kill(daemonPid(f.runDir), 'SIGKILL');
    process.kill(shim, 'SIGKILL');
    const [state] = await f.runtime.list();
    assert.equal(
      [state?.status, state?.exit?.exitCode, state?.exit?.isLost],
      ['stopped', 137, true],
    );
    assert.is((await f.exit('a')).isLost, true);
    await gone(pid);
  });

  test('writes down an exit though the disk is full', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const runDir = join(f.dir, 'small');
    mkdirSync(runDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'small', runDir]);
    cleanup(() => void execFileSync('umount', [runDir]));
    const runtime = await createRuntime({ helper: f.helper, runDir, log: silent });
    cleanup(async () => {
      await runtime.delete('a');
      await runtime.close();
    });
    await runtime.run(f.spec('a', ['sleep', '1000']));
    await rejects(writeFile(join(runDir, 'filler'), Buffer.alloc(1 << 20)));
    const exited = new Promise<Exit>((done) => runtime.onExit(done));
    await runtime.kill('a', 15, { isForAll: true });
    await runtime.kill('a', 9);
    assert.is((await exited).exitCode, 137);
    assert.is((await runtime.state('a'))?.exit?.exitCode, 137);
  });

  test('lets requests wait while as many as it may serve are at work', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    // Sync with runtime/serve.h.
    const silentClients = await Promise.all(
      Array.from({ length: 64 }, () => connectUnix(join(f.runDir, 'runtime.sock'))),
    );
    const daemon = daemonPid(f.runDir);
    const jobs = () => readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8');
    while (jobs().trim().split(' ').length < 64) await sleep(POLL_MS);
    let isAnswered = false;
    const listed = f.runtime.list().then(() => {
      isAnswered = true;
    });
    await sleep(20 * POLL_MS);
    assert.is(isAnswered, false);
    for (const client of silentClients) client.destroy();
    await listed;
  });

  test('starts once a helper that is being written is complete', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const helper = join(f.dir, 'helper');
    copyFileSync(f.helper, helper);
    const writer = await open(helper, 'r+');
    const starting = createRuntime({ helper, runDir: join(f.dir, 'run7'), log: silent });
    await sleep(20 * POLL_MS);
    await writer.close();
    await (await starting).close();
  });

  test('tells a new client of containers and exits of a killed one', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const program = join(f.dir, 'client.ts');
    const at = new URL('../../pkg/', import.meta.url).pathname;
    const specs = [
      f.spec('quick', ['sh', '-c', 'read x; exit 4'], { hasStdin: true }),
      f.spec('long', ['sleep', '100']),
    ];
    const runDir = join(f.dir, 'run2');
    writeFileSync(
      program,
      `import { createRuntime } from '${at}runtime/create-runtime.ts';
       import { silent } from '${at}log/log.ts';
       const runtime = await createRuntime(${JSON.stringify({ helper: f.helper, runDir }).replace(
         /}$/,
         ', log: silent })',
       )};
       for (const spec of ${JSON.stringify(specs)}) await runtime.run(spec);
       process.stdout.write('ready');
       setInterval(() => {}, 1000);`,
    );
    const client = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((done) => client.stdout.once('data', done));
    client.kill('SIGKILL');
    await new Promise((done) => client.once('exit', done));

    const runtime = await createRuntime({ helper: f.helper, runDir, log: silent });
    const exited = new Promise<Exit>((done) => runtime.onExit(done));
    cleanup(async () => {
      for (const { id } of await runtime.list()) await runtime.delete(id, { isForced: true });
      await runtime.close();
    });
    assert.equal((await runtime.list()).map((c) => [c.id, c.status]).sort(), [
      ['long', 'running'],
      ['quick', 'running'],
    ]);
    const session = await runtime.attach('quick', { hasStdin: true });
    session.stdout.write('\n');
    await textOf(session.stdout);
    assert.equal([(await exited).id, (await exited).exitCode], ['quick', 4]);
  });

  test('delivers an exit once, though nobody listened when it came', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const runDir = join(f.dir, 'run3');
    const runtime = await createRuntime({ helper: f.helper, runDir, log: silent });
    cleanup(async () => {
      await runtime.delete('a');
      await runtime.close();
    });
    const spec = f.spec('a', ['sh', '-c', 'read x; exit 6'], { hasStdin: true });
    await runtime.run(spec);
    const session = await runtime.attach('a', { hasStdin: true });
    session.stdout.write('\n');
    await textOf(session.stdout);
    const heard: Exit[] = [];
    await new Promise<void>((done) => {
      runtime.onExit((exit) => {
        heard.push(exit);
        done();
      });
    });
    const second = await createRuntime({
      helper: f.helper,
      runDir: join(f.dir, 'run4'),
      log: silent,
    });
    await second.close();
    assert.equal(
      heard.map((exit) => [exit.id, exit.exitCode]),
      [['a', 6]],
    );
    assert.equal(readdirSync(join(runDir, 'exits')), []);
  });

  test("rejects with the signal's reason, and takes back what was made for nobody", async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const aborter = new AbortController();
    const work = f.runtime.run(f.spec('a', ['sleep', '100']), aborter.signal);
    aborter.abort(new Error('given up'));
    assert.is(String(await rejects(work)), 'Error: given up');
    await f.runtime.delete('a', { isForced: true });
    await f.runtime.run(f.spec('a2', ['true']));
    assert.is((await f.exit('a2')).exitCode, 0);
  });

  test('rejects at once when the helper is missing or cannot serve', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const missing = createRuntime({ helper: '/no/such', runDir: join(f.dir, 'run5'), log: silent });
    assert.match(String(await rejects(missing)), /ENOENT/);
    const failing = createRuntime({
      helper: '/bin/false',
      runDir: join(f.dir, 'run6'),
      log: silent,
    });
    assert.match(String(await rejects(failing)), /serve ended \(1\)/);
  });

  test('gives up a helper that does not come to serve, and ends it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-hang-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    const helper = join(dir, 'helper');
    writeFileSync(helper, `#!/bin/sh\necho $$ > ${dir}/pid\nexec sleep 1000\n`, { mode: 0o755 });
    const due: (() => void)[] = [];
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      after(_delayMs: number, task: () => void) {
        due.push(task);
        return () => undefined;
      },
    };
    const starting = createRuntime({ helper, runDir: join(dir, 'run'), log: silent, clock });
    const pid = () => Number(readFileSync(join(dir, 'pid'), 'utf8'));
    while (!existsSync(join(dir, 'pid')) || !pid())
      await new Promise((next) => setTimeout(next, 5));
    for (const task of due) task();
    assert.match(String(await rejects(starting)), /did not start within 10000 ms/);
    while (existsSync(`/proc/${pid()}`)) await new Promise((next) => setTimeout(next, 5));
  });
});
