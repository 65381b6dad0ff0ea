/** Attach, exec, terminals and log files. */

import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, EXEC, textOf } from './fixture.ts';

suite('runtime stdio', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };

  test('executes with separate streams, stdin to its end, and an exit code', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e1',
      args: ['sh', '-c', 'cat; echo error >&2; id -u; hostname; exit 5'],
      user: { uid: 42, gid: 43 },
      hasStdin: true,
    });
    assert.ok(session.stderr);
    session.stdout.end('input\n');
    const [out, err, exit] = await Promise.all([
      textOf(session.stdout),
      textOf(session.stderr ?? session.stdout),
      session.exited,
    ]);
    assert.is(out, 'input\n42\nbox\n');
    assert.is(err, 'error\n');
    assert.equal([exit.exitCode, exit.execId], [5, 'e1']);
    assert.is((await f.runtime.processes('a')).length, 1);
  });

  test('rejects an exec that cannot be executed, and one in a stopped container', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const missing = f.runtime.exec('a', { ...EXEC, execId: 'e', args: ['nope'] });
    assert.match(String(await rejects(missing)), /executable file not found in \$PATH/);
    await f.runtime.kill('a', 9);
    await f.exit('a');
    const late = f.runtime.exec('a', { ...EXEC, execId: 'e', args: ['true'] });
    assert.match(String(await rejects(late)), /not running/);
  });

  test('gives an exec a terminal of the asked size', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e',
      args: ['sh', '-c', 'read line; stty size; tty; exit 3'],
      hasTerminal: true,
      hasStdin: true,
    });
    assert.is(session.stderr, undefined);
    session.resize({ columns: 91, rows: 37 });
    session.stdout.write('go\r');
    const [out, exit] = await Promise.all([textOf(session.stdout), session.exited]);
    assert.is(out, 'go\r\n37 91\r\n/dev/pts/0\r\n');
    assert.is(exit.exitCode, 3);
  });

  test('carries large output whole through a slow reader, and large input', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e',
      args: ['cat'],
      hasStdin: true,
    });
    const input = Buffer.alloc(5_000_000, 'mini');
    session.stdout.end(input);
    const chunks: Buffer[] = [];
    for await (const chunk of session.stdout) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(input));
    assert.is((await session.exited).exitCode, 0);
  });

  test('hangs up a terminal whose client has gone', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sleep', '100']));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e',
      args: ['sh', '-c', 'echo up; sleep 100'],
      hasTerminal: true,
      hasStdin: true,
    });
    await new Promise((done) => session.stdout.once('data', done));
    session.close();
    await rejects(session.exited);
    // Ended processes leave the cgroup; the exec that follows is proof that the shim has gone on.
    const next = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'n',
      args: [
        'sh',
        '-c',
        'while kill -0 $(ps | head -9 | cat | while read p u r; do case "$r" in *"echo up"*) echo $p;; esac; done) 2>/dev/null; do :; done',
      ],
    });
    assert.is((await next.exited).exitCode, 0);
  });

  test('attaches several clients; stdin closes after the first when made for one', async () => {
    const f = await fixture();
    await f.runtime.create(
      f.spec('a', ['sh', '-c', 'cat; echo end'], { hasStdin: true, isStdinOnce: true }),
    );
    const writer = await f.runtime.attach('a', { hasStdin: true });
    const reader = await f.runtime.attach('a', { hasStdin: false });
    await f.runtime.start('a');
    writer.stdout.end('hello\n');
    const texts = await Promise.all([textOf(writer.stdout), textOf(reader.stdout)]);
    assert.equal(texts, ['hello\nend\n', 'hello\nend\n']);
    assert.is((await f.exit('a')).exitCode, 0);
  });

  test('gives the container a terminal that attach can use', async () => {
    const f = await fixture();
    await f.runtime.create(
      f.spec('a', ['sh', '-c', 'read x; stty size; ls -l /dev/console | head -c 4'], {
        hasTerminal: true,
        hasStdin: true,
      }),
    );
    const session = await f.runtime.attach('a', { hasStdin: true });
    session.resize({ columns: 120, rows: 40 });
    await f.runtime.start('a');
    session.stdout.write('x\r');
    assert.match(await textOf(session.stdout), /x\r\n40 120\r\ncrw-/);
  });

  test('writes long lines in parts, and rotates by size keeping so many files', async () => {
    const f = await fixture();
    await f.runtime.run(f.spec('a', ['sh', '-c', 'head -c 40000 /dev/zero; echo; printf end']));
    await f.exit('a');
    const kinds = f.log('a').map((line) => line.slice(0, 9));
    assert.equal(kinds, ['stdout P ', 'stdout P ', 'stdout F ', 'stdout P ']);
    const lengths = f.log('a').map((line) => line.length - 9);
    assert.is((lengths[0] ?? 0) + (lengths[1] ?? 0) + (lengths[2] ?? 0), 40_000);
    await f.runtime.run(f.spec('b', ['seq', '1', '5000'], { maxBytes: 20_000, maxFiles: 2 }));
    await f.exit('b');
    const files = readdirSync(join(f.dir, 'c-b')).filter((name) => name.startsWith('log'));
    assert.is(files.length, 3);
    const all = files
      .sort((a, b) => (a === 'log' ? 1 : b === 'log' ? -1 : a < b ? -1 : 1))
      .flatMap((name) =>
        readFileSync(join(f.dir, 'c-b', name), 'utf8')
          .split('\n')
          .slice(0, -1),
      );
    const numbers = all.map((line) => Number(line.split(' ')[3]));
    assert.is(numbers.at(-1), 5000);
    for (const [at, number] of numbers.entries()) assert.is(number, (numbers[0] ?? 0) + at);
  });

  test('opens the log again after it was moved', async () => {
    const f = await fixture();
    await f.runtime.run(
      f.spec('a', ['sh', '-c', 'echo one; read x; echo two'], { hasStdin: true }),
    );
    const session = await f.runtime.attach('a', { hasStdin: true });
    const log = join(f.dir, 'c-a/log');
    while (readFileSync(log, 'utf8') === '') await new Promise((done) => setImmediate(done));
    renameSync(log, `${log}.old`);
    await f.runtime.reopenLog('a');
    session.stdout.write('\n');
    await f.exit('a');
    assert.match(readFileSync(`${log}.old`, 'utf8'), /stdout F one\n$/);
    assert.equal(f.log('a'), ['stdout F two']);
  });

  test('counts the lines that a full disk swallowed', async () => {
    const f = await fixture();
    const { execFileSync } = await import('node:child_process');
    mkdirSync(join(f.dir, 'small'));
    const small = join(f.dir, 'small');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', small]);
    cleanup(() => void execFileSync('umount', [small]));
    const spec = f.spec('a', ['sh', '-c', 'seq 1 2000; read x; echo after'], { hasStdin: true });
    await f.runtime.create({
      ...spec,
      log: { path: join(small, 'log'), maxBytes: 0, maxFiles: 0 },
    });
    const session = await f.runtime.attach('a', { hasStdin: true });
    await f.runtime.start('a');
    let seen = '';
    for await (const chunk of session.stdout) {
      seen += chunk;
      if (!seen.includes('2000\n') || seen.includes('after')) continue;
      renameSync(join(small, 'log'), join(small, 'old'));
      execFileSync('truncate', ['-s', '0', join(small, 'old')]);
      await f.runtime.reopenLog('a');
      session.stdout.write('\n');
    }
    const text = readFileSync(join(small, 'log'), 'utf8');
    assert.match(text, /stderr F \[mini: \d+ log lines dropped\]\n.* stdout F after\n$/);
    await f.runtime.delete('a');
  });
});
