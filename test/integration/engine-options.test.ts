/** The engine with the real helper: what a container shares, may do and may use; its streams; its image. */

import {
  chmodSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import { buildHello } from '../../embedded/hello/build.mjs';
import { EngineError } from '../../pkg/engine/engine.ts';
import { exited, makeEngineHost, shell } from '../harness/engine.ts';
import { buildImage, dockerArchive } from '../harness/images.ts';
import { rejects, suite } from '../harness/suite.ts';

const MIB = 1024 * 1024;

suite('engine options', ({ test, cleanup }) => {
  async function start() {
    const host = await makeEngineHost();
    cleanup(() => host.close());
    const life = await host.begin();
    const { engine } = life;
    const sandbox = (id = 's1', more = {}) =>
      engine.createSandbox({
        id,
        labels: {},
        hostname: 'web-1',
        isHostNetwork: false,
        isHostIpc: false,
        ...more,
      });
    /** Runs a script to its end; its exit and its log without the prefixes. */
    async function run(script: string, more: Partial<Parameters<typeof shell>[2]> = {}) {
      const id = `c${Math.random().toString(36).slice(2)}`;
      await engine.createContainer(shell(host, script, { id, sandboxId: 's1', ...more }));
      await engine.startContainer(id);
      const { exit, logPath } = await exited(engine, id);
      const log = await readFile(logPath ?? '', 'utf8');
      return { exit, log: log.replaceAll(/^\S+ \S+ [FP] /gm, '') };
    }
    return { host, life, engine, sandbox, run };
  }
  const namespaceOf = (pid: number | undefined, kind: string) =>
    readlinkSync(`/proc/${pid}/ns/${kind}`);

  test('runs the sample image, which answers who and where it is, and ends when asked to', async () => {
    const { host, life, engine, sandbox } = await start();
    const out = await mkdtemp(join(tmpdir(), 'mini-hello-'));
    cleanup(() => rm(out, { recursive: true, force: true }));
    const { archive } = await buildHello({ outDir: out });
    const [image] = await life.images.import(createReadStream(archive));
    assert.equal(image?.tags, ['docker.io/mini/hello:latest']);
    await sandbox();
    const { command: _command, ...config } = shell(host, '', { id: 'c1', sandboxId: 's1' });
    await engine.createContainer({ ...config, image: 'mini/hello', env: ['NODE_NAME=node-7'] });
    await engine.startContainer('c1');
    const request = async (path: string) => {
      const connection = await engine.connect('s1', 8080);
      connection.end(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      return text(connection);
    };
    await until(async () => (await request('/healthz').catch(() => '')).includes('ok'));
    assert.match(await request('/a/b'), /pod: {5}web-1\nnode: {4}node-7\n.*request: GET \/a\/b\n/s);
    const body = (await request('/json')).split('\r\n\r\n')[1] ?? '';
    const { pod, method, headers } = JSON.parse(body);
    assert.equal({ pod, method, headers }, { pod: 'web-1', method: 'GET', headers: { Host: 'x' } });
    await engine.stopContainer('c1', 5_000);
    assert.is(engine.getContainer('c1')?.exit?.exitCode, 0);
  });

  test('gives each container its namespaces, and those of the sandbox to all', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    for (const id of ['c1', 'c2']) {
      await engine.createContainer(shell(host, 'sleep 1000', { id, sandboxId: 's1' }));
    }
    const security = { pidOfContainer: 'c1' };
    await engine.createContainer(
      shell(host, 'sleep 1000', { id: 'c3', sandboxId: 's1', security }),
    );
    const early = await rejects(engine.startContainer('c3'));
    assert.ok(early instanceof EngineError && early.code === 'Conflict', String(early));
    const [one, two] = [await engine.startContainer('c1'), await engine.startContainer('c2')];
    const three = await engine.startContainer('c3');
    for (const kind of ['net', 'ipc', 'uts']) {
      assert.is(namespaceOf(one.pid, kind), namespaceOf(two.pid, kind), kind);
      assert.is.not(namespaceOf(one.pid, kind), readlinkSync(`/proc/self/ns/${kind}`), kind);
    }
    for (const kind of ['pid', 'mnt', 'cgroup']) {
      assert.is.not(namespaceOf(one.pid, kind), namespaceOf(two.pid, kind), kind);
    }
    assert.is(namespaceOf(one.pid, 'pid'), namespaceOf(three.pid, 'pid'));
  });

  test('the containers of a sandbox share memory, of which there is so much and no more', async () => {
    const { engine, sandbox, run } = await start();
    await sandbox();
    await sandbox('s2');
    await run('echo one > /dev/shm/file');
    assert.is((await run('cat /dev/shm/file')).log, 'one\n');
    const { log } = await run('cat /dev/shm/file; df -m /dev/shm | tail -1', { sandboxId: 's2' });
    assert.match(log, /^cat: can't open .*\nshm +64 /);
    await engine.removeSandbox('s1');
    await sandbox();
    assert.match((await run('cat /dev/shm/file')).log, /can't open/);
  });

  test('a mount stays in its volume whatever a link there says', async () => {
    const { host, sandbox, run } = await start();
    await sandbox();
    const volume = join(host.directory, 'volume');
    mkdirSync(join(volume, 'deep'), { recursive: true });
    chmodSync(volume, 0o2777);
    writeFileSync(join(volume, 'deep/file'), 'inside');
    mkdirSync(join(host.directory, 'secret'));
    symlinkSync(join(host.directory, 'secret'), join(volume, 'out'));
    symlinkSync('../../../../../..', join(volume, 'up'));
    symlinkSync('deep', join(volume, 'link'));
    const mounted = (path: string, script: string) => {
      const source = join(volume, path);
      const mount = { source, sourceRoot: volume, destination: '/m', isReadOnly: false };
      return run(script, { mounts: [mount] });
    };
    assert.is((await mounted('link/file', 'cat /m')).log, 'inside\n');
    assert.is((await mounted('up/deep', 'cat /m/file')).log, 'inside\n');
    assert.match(String(await rejects(mounted('out/made', 'touch /m/here'))), /make directory out/);
    assert.equal(readdirSync(join(host.directory, 'secret')), []);
    await mounted('new/dir', 'touch /m/here');
    assert.is(statSync(join(volume, 'new/dir')).mode & 0o7777, 0o2777);
    assert.ok(existsSync(join(volume, 'new/dir/here')));
  });

  test('shares the network, name, IPC and processes of the host when told to', async () => {
    const { host, engine, sandbox } = await start();
    const info = await sandbox('s1', { isHostNetwork: true, isHostIpc: true });
    assert.is(info.ip, undefined);
    assert.ok(info.isReady);
    const security = { isHostPid: true };
    await engine.createContainer(
      shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1', security }),
    );
    const { pid } = await engine.startContainer('c1');
    for (const kind of ['uts', 'ipc', 'pid']) {
      assert.is(namespaceOf(pid, kind), readlinkSync(`/proc/self/ns/${kind}`), kind);
    }
    assert.match(
      host.inNetns('readlink', `/proc/${pid}/ns/net`),
      host.inNetns('readlink', '/proc/self/ns/net').trim(),
    );
    await engine.removeSandbox('s1');
    assert.ok(!existsSync(`/proc/${pid}`));
  });

  test('applies limits, changes them, and tells who died for memory', async () => {
    const { host, engine, sandbox, run } = await start();
    await sandbox();
    const hungry = 'x=a; while true; do x=$x$x; done';
    const { exit } = await run(hungry, { resources: { memoryLimitBytes: 16 * MIB } });
    assert.is(exit?.isOomKilled, true);
    assert.is(exit?.exitCode, 137);
    const resources = { cpuShares: 512, memoryLimitBytes: 32 * MIB, pidsLimit: 20 };
    await engine.createContainer(
      shell(host, 'sleep 1000', { id: 'c1', sandboxId: 's1', resources }),
    );
    const { pid } = await engine.startContainer('c1');
    const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    assert.match(cgroups, `${host.cgroupParent}/c1`);
    await engine.updateContainer('c1', { memoryLimitBytes: 64 * MIB });
    const v1 = `/sys/fs/cgroup/memory${host.cgroupParent}/c1/memory.limit_in_bytes`;
    const v2 = `/sys/fs/cgroup${host.cgroupParent}/c1/memory.max`;
    const limit = readFileSync(existsSync(v1) ? v1 : v2, 'utf8').trim();
    assert.is(Number(limit), 64 * MIB);
  });

  test('a privileged container has all capabilities of the host, its devices and a writable /sys', async () => {
    const { sandbox, run } = await start();
    await sandbox();
    const script =
      '/bin/busybox grep CapBnd /proc/self/status; ls /dev/null /dev/full; touch /sys/x 2>&1';
    const plain = await run(script);
    const privileged = await run(script, { security: { isPrivileged: true } });
    assert.match(plain.log, /Read-only/);
    assert.not.match(privileged.log, /Read-only/);
    const bounding = /CapBnd:\s+(\w+)/;
    const own = bounding.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    assert.is(bounding.exec(privileged.log)?.[1], own);
    assert.is.not(bounding.exec(plain.log)?.[1], own);
  });

  test('attaches to stdin and stdout, with and without a terminal', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    const script = 'echo hi; while read line; do echo "<$line>"; done; echo end >&2';
    const base = { sandboxId: 's1', hasStdin: true, isStdinOnce: true };
    await engine.createContainer(shell(host, script, { id: 'c1', ...base }));
    await engine.startContainer('c1');
    const plain = await engine.attach('c1', { hasStdin: true });
    plain.stdout.end('one\ntwo\n');
    const [out, err] = await Promise.all([
      text(plain.stdout),
      plain.stderr ? text(plain.stderr) : '',
    ]);
    assert.match(out, '<one>\n<two>\n');
    assert.is(err, 'end\n');
    assert.is((await exited(engine, 'c1')).exit?.exitCode, 0);
    const tty = 'read line; stty size; exit 4';
    const terminal = { id: 'c2', ...base, hasTerminal: true };
    await engine.createContainer({
      ...shell(host, '', terminal),
      command: ['/bin/busybox', 'sh', '-c', tty.replace('stty', '/bin/busybox stty')],
    });
    await engine.startContainer('c2');
    const session = await engine.attach('c2', { hasStdin: true });
    session.resize({ columns: 91, rows: 17 });
    session.stdout.write('go\n');
    assert.match(await text(session.stdout), '17 91');
    assert.is((await exited(engine, 'c2')).exit?.exitCode, 4);
    assert.ok((await rejects(engine.attach('c2', { hasStdin: true }))) instanceof EngineError);
  });

  test('makes a working directory that the image lacks, and starts a container again', async () => {
    const { engine, sandbox, run } = await start();
    await sandbox();
    const more = { workingDir: '/made/for/it', security: { isReadOnlyRoot: true } };
    const { log } = await run('pwd', more);
    assert.is(log, '/made/for/it\n');
    const [first] = engine.listContainers();
    assert.ok(first?.exit);
    const { startedAt } = await engine.startContainer(first.id);
    assert.ok((startedAt ?? '') > (first.startedAt ?? ''));
    const second = await exited(engine, first.id);
    assert.is(second.exit?.exitCode, 0);
    assert.ok((second.exit?.finishedAt ?? '') > first.exit.finishedAt);
  });

  test('unpacks whiteouts so that upper layers hide what they remove', async () => {
    const { life, sandbox, run } = await start();
    await sandbox();
    const busybox = life.images.get('test/busybox:latest');
    assert.ok(busybox);
    const program = await readFile('/bin/busybox');
    const image = await buildImage({
      tag: 'white:1',
      layers: [
        [
          { name: 'bin/busybox', content: program, mode: 0o755 },
          { name: 'bin/sh', type: 'symlink', linkname: 'busybox' },
          { name: 'd/old', content: 'old' },
          { name: 'keep/a', content: 'a' },
          { name: 'gone', content: 'x' },
        ],
        [
          { name: '.wh.gone', content: '' },
          { name: 'd/.wh..wh..opq', content: '' },
          { name: 'd/new', content: 'new' },
        ],
      ],
    });
    await life.images.import(Readable.from([await dockerArchive(image)]));
    const { log } = await run('cd /; echo d/* keep/* gone*', { image: 'white:1' });
    assert.is(log, 'd/new keep/a gone*\n');
  });

  test('removes a sandbox while containers are made in it, and leaves none of them', async () => {
    const { host, engine, sandbox } = await start();
    await sandbox();
    const made = Promise.allSettled(
      Array.from({ length: 8 }, async (_, at) => {
        const id = `c${at}`;
        await engine.createContainer(shell(host, 'sleep 1000', { id, sandboxId: 's1' }));
        await engine.startContainer(id);
      }),
    );
    await engine.removeSandbox('s1');
    await made;
    assert.equal(engine.listContainers(), []);
    assert.equal(engine.listSandboxes(), []);
  });
});

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}
