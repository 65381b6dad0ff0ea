/** The engine with the real helper: containers from start to exit, and what is left of them. */

import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { EngineError } from '../../pkg/engine/engine.ts';
import { exited, makeEngineHost, shell } from '../harness/engine.ts';
import { rejects, suite } from '../harness/suite.ts';

suite('engine', ({ test, cleanup }) => {
  async function start() {
    const host = await makeEngineHost();
    cleanup(() => host.close());
    const life = await host.begin();
    const { engine } = life;
    const sandbox = (id = 's1', more = {}) =>
      engine.createSandbox({
        id,
        labels: { a: 'b' },
        hostname: 'web-1',
        isHostNetwork: false,
        isHostIpc: false,
        ...more,
      });
    return { host, life, engine, sandbox };
  }
  async function logOf(path: string | undefined): Promise<readonly string[]> {
    const text = await readFile(path ?? '', 'utf8');
    return text
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [line.split(' ').slice(3).join(' ')]));
  }

  test('runs a program to its end, with log, exit code and events', async () => {
    const { host, engine, sandbox } = await start();
    const { ip, isReady } = await sandbox();
    assert.is(ip, '10.98.0.2');
    assert.ok(isReady);
    const events: string[] = [];
    engine.onChange(({ id, status }) => events.push(`${id} ${status}`));
    const script = 'echo out; echo $FROM_IMAGE $MINE; hostname; cat /etc/hostname; pwd; exit 3';
    const config = shell(host, script, {
      id: 'c1',
      sandboxId: 's1',
      env: ['MINE=1'],
      workingDir: '/tmp',
    });
    const created = await engine.createContainer(config);
    assert.is(created.status, 'created');
    const running = await engine.startContainer('c1');
    assert.ok(running.startedAt);
    const ended = await exited(engine, 'c1');
    assert.is(ended.exit?.exitCode, 3);
    assert.equal(await logOf(ended.logPath), ['out', 'yes 1', 'web-1', 'web-1', '/tmp']);
    assert.equal(events, ['c1 created', 'c1 running', 'c1 exited']);
    await engine.removeContainer('c1');
    await engine.removeContainer('c1');
    assert.is(engine.getContainer('c1'), undefined);
    assert.ok(!existsSync(join(host.dataDir, 'containers/c1')));
  });

  test('leaves nothing of a sandbox that is removed with a running container', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    await engine.createContainer(shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1' }));
    const { pid } = await engine.startContainer('c1');
    assert.ok(existsSync(`/proc/${pid}`));
    assert.match(host.inNetns('ip', '-o', 'link'), 'master mini0');
    await engine.removeSandbox('s1');
    await engine.removeSandbox('s1');
    assert.ok(!existsSync(`/proc/${pid}`));
    assert.not.match(host.inNetns('ip', '-o', 'link'), 'master mini0');
    assert.equal(readdirSync(join(host.dataDir, 'containers')), []);
    assert.equal(readdirSync(join(host.dataDir, 'sandboxes')), []);
    // Compiled seccomp filters stay for the next container.
    const left = readdirSync(join(host.runDir, 'containers'));
    assert.equal(
      left.filter((name) => name !== '.seccomp'),
      [],
    );
    assert.equal(engine.listContainers(), []);
    assert.equal(engine.listSandboxes(), []);
  });

  test('stops with the stop signal, and kills what does not heed it', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    const heeds = 'trap "exit 7" USR1; echo ready; while true; do sleep 0.02; done';
    await engine.createContainer(
      shell(host, heeds, { id: 'c1', sandboxId: 's1', stopSignal: 'SIGUSR1' }),
    );
    const { logPath } = await engine.startContainer('c1');
    while (!(await logOf(logPath).catch(() => [] as string[])).includes('ready')) await immediate();
    await engine.stopContainer('c1', 5_000);
    assert.is(engine.getContainer('c1')?.exit?.exitCode, 7);
    await engine.createContainer(shell(host, 'sleep 1000', { id: 'c2', sandboxId: 's1' }));
    await engine.startContainer('c2');
    await engine.stopContainer('c2', 100);
    assert.is(engine.getContainer('c2')?.exit?.exitCode, 137, 'PID 1 ignores SIGTERM');
    await engine.stopContainer('c2', 100);
  });

  test('tells what cannot be started, and why', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    const none = shell(host, '', { id: 'c1', sandboxId: 's1', command: ['/no/such'] });
    await engine.createContainer(none);
    const error = await rejects(engine.startContainer('c1'));
    assert.ok(error instanceof EngineError && error.code === 'StartFailed');
    assert.match(error.message, 'no such file or directory');
    const missing = { ...none, id: 'c2', image: 'no/image' };
    const unknown = await rejects(engine.createContainer(missing));
    assert.ok(unknown instanceof EngineError && unknown.code === 'ImageNotFound');
    const user = { ...none, id: 'c3', security: { user: 'nobody-here' } };
    const noUser = await rejects(engine.createContainer(user));
    assert.ok(noUser instanceof EngineError && noUser.code === 'StartFailed');
    assert.match(noUser.message, 'nobody-here');
    assert.equal(readdirSync(join(host.dataDir, 'containers')), ['c1']);
  });

  test('resolves users in the image, and applies capabilities, read-only root and mounts', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    const file = join(host.directory, 'given');
    await writeFile(file, 'given\n');
    const script =
      'id; grep CapEff /proc/self/status; echo x > /x || echo ro; cat /mnt/f; touch /t/a && ls /t';
    const config = shell(host, script.replace('grep CapEff', 'sed -n /CapEff/p'), {
      id: 'c1',
      sandboxId: 's1',
      security: {
        user: 'app',
        isReadOnlyRoot: true,
        dropCapabilities: ['ALL'],
        additionalGids: [7],
      },
      mounts: [
        { source: file, destination: '/mnt/f', isReadOnly: true },
        { source: '', destination: '/t', isReadOnly: false, type: 'tmpfs', options: ['mode=1777'] },
      ],
    });
    await engine.createContainer({
      ...config,
      command: ['/bin/busybox', 'sh', '-c', script.replace('grep', '/bin/busybox grep')],
    });
    await engine.startContainer('c1');
    const { logPath } = await exited(engine, 'c1');
    const lines = await logOf(logPath);
    assert.match(lines[0] ?? '', /uid=1000.*gid=1000.*groups=.*7.*2000/);
    assert.ok(
      lines.some((line) => /CapEff:\s+0+$/.test(line)),
      lines.join('\n'),
    );
    assert.ok(
      ['ro', 'given', 'a'].every((line) => lines.includes(line)),
      lines.join('\n'),
    );
  });

  test('executes in a container, as its user or another, with streams and exit code', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    await engine.createContainer(
      shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1', env: ['OWN=1'] }),
    );
    await engine.startContainer('c1');
    const run = async (options: Partial<Parameters<typeof engine.exec>[1]>) => {
      const session = await engine.exec('c1', {
        args: ['/bin/sh', '-c', 'id -u; echo $OWN $MORE; pwd; echo err >&2; cat; exit 5'],
        hasTerminal: false,
        hasStdin: true,
        ...options,
      });
      session.stdout.end('typed');
      const [out, err, exit] = await Promise.all([
        text(session.stdout),
        session.stderr === undefined ? '' : text(session.stderr),
        session.exited,
      ]);
      return { out, err, code: exit.exitCode };
    };
    assert.equal(await run({ user: 'app', env: ['MORE=2'], workingDir: '/tmp' }), {
      out: '1000\n1 2\n/tmp\ntyped',
      err: 'err\n',
      code: 5,
    });
    assert.is((await run({})).out, '0\n1\n/\ntyped');
    const error = await rejects(
      engine.exec('c1', { args: ['/none'], hasTerminal: false, hasStdin: false }),
    );
    assert.ok(error instanceof EngineError && error.code === 'StartFailed', String(error));
  });

  test('connects to a port in a sandbox, and sandboxes reach each other over the bridge', async () => {
    const { host, engine, sandbox } = await start();
    const { ip } = await sandbox('s1');
    await sandbox('s2');
    const serve = 'echo page > /tmp/index.html; echo ready; exec httpd -f -p 8080 -h /tmp';
    await engine.createContainer(shell(host, serve, { id: 'c1', sandboxId: 's1' }));
    await engine.startContainer('c1');
    const fetchIt = `until wget -q -O - http://${ip}:8080/index.html 2>/dev/null; do sleep 0.05; done`;
    await engine.createContainer(shell(host, fetchIt, { id: 'c2', sandboxId: 's2' }));
    await engine.startContainer('c2');
    const { logPath, exit } = await exited(engine, 'c2');
    assert.is(exit?.exitCode, 0);
    assert.equal(await logOf(logPath), ['page']);
    const connection = await engine.connect('s1', 8080);
    connection.end('GET /index.html HTTP/1.0\r\n\r\n');
    assert.match(await text(connection), /200 OK.*page/s);
  });

  test('takes running containers over in a new life, and learns of exits that nobody saw', async () => {
    const { host, life, engine, sandbox } = await start();
    await sandbox();
    await engine.createContainer(shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1' }));
    const waits = 'while [ ! -e /flag/go ]; do sleep 0.02; done; exit 9';
    const mounts = [{ source: host.directory, destination: '/flag', isReadOnly: true }];
    await engine.createContainer(shell(host, waits, { id: 'c2', sandboxId: 's1', mounts }));
    await engine.createContainer(shell(host, 'true', { id: 'c3', sandboxId: 's1' }));
    const before = await engine.startContainer('c1');
    const { pid } = await engine.startContainer('c2');
    await life.end();
    await writeFile(join(host.directory, 'go'), '');
    while (existsSync(`/proc/${pid}/ns`)) await immediate();
    const { engine: next } = await host.begin();
    assert.equal(next.getContainer('c1'), before);
    assert.is((await exited(next, 'c2')).exit?.exitCode, 9);
    assert.is(next.getContainer('c3')?.status, 'created');
    assert.equal(
      next.listSandboxes().map(({ id, ip, isReady, labels }) => ({ id, ip, isReady, labels })),
      [{ id: 's1', ip: '10.98.0.2', isReady: true, labels: { a: 'b' } }],
    );
    await next.startContainer('c3');
    assert.is((await exited(next, 'c3')).exit?.exitCode, 0);
    await next.stopContainer('c1', 0);
    assert.is(next.getContainer('c1')?.exit?.exitCode, 137);
  });

  test('pauses and resumes, and says no to what does not fit the state', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    await engine.createContainer(shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1' }));
    const early = await rejects(engine.pauseContainer('c1'));
    assert.ok(early instanceof EngineError && early.code === 'Conflict');
    await engine.startContainer('c1');
    await engine.pauseContainer('c1');
    assert.is(engine.getContainer('c1')?.status, 'paused');
    const live = await rejects(engine.removeContainer('c1'));
    assert.ok(live instanceof EngineError && live.code === 'Conflict');
    await engine.resumeContainer('c1');
    assert.is(engine.getContainer('c1')?.status, 'running');
    await engine.pauseContainer('c1');
    await engine.stopContainer('c1', 50);
    assert.is(engine.getContainer('c1')?.status, 'exited');
    const gone = await rejects(engine.killContainer('nothing', 9));
    assert.ok(gone instanceof EngineError && gone.code === 'NotFound');
  });
});

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}
