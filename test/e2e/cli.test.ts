/** The built executable as an operator uses it: help, mistakes, settings, up and down, tokens, images. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../cmd/commands.ts';
import { type Host, type Output, Switch } from '../harness/hosts.ts';
import { buildImage, digest, dockerArchive, writeLayout } from '../harness/images.ts';
import { suite } from '../harness/suite.ts';

const MINI = new URL('../../dist/mini', import.meta.url).pathname;
const START_MS = 60_000;

/** An image that no other test makes. */
function image(tag: string) {
  return buildImage({ tag, layers: [[{ name: 'file', content: tag }]] });
}

/** What a registry has on its disk for one image. Source: distribution's storage layout. */
async function fillRegistry(root: string, name: string): Promise<void> {
  const { config, manifest, layers } = await image(`127.0.0.1:5000/${name}:1`);
  const put = (path: string, content: Buffer | string) => {
    const file = join(root, 'docker/registry/v2', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  };
  const repository = `repositories/${name}`;
  for (const blob of [config, manifest, ...layers.map(({ packed }) => packed)]) {
    const [, hex = ''] = digest(blob).split(':');
    put(`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, blob);
    put(`${repository}/_layers/sha256/${hex}/link`, digest(blob));
  }
  const [, hex = ''] = digest(manifest).split(':');
  put(`${repository}/_manifests/revisions/sha256/${hex}/link`, digest(manifest));
  put(`${repository}/_manifests/tags/1/current/link`, digest(manifest));
  put(`${repository}/_manifests/tags/1/index/sha256/${hex}/link`, digest(manifest));
}

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const network = new Switch();
  try {
    await work(await network.addHost('one'));
  } finally {
    await network.close();
  }
}

suite('mini on the command line', ({ test }) => {
  test(
    'explains itself and refuses mistakes with exit code 2',
    () =>
      withHost(async (host) => {
        const mini = (...args: readonly string[]) => host.run([MINI, ...args]);
        const help = await mini('--help');
        assert.is(help.code, 0);
        for (const { name, summary } of COMMANDS) {
          assert.ok(help.stdout.includes(summary.slice(0, 20)), name);
          const own = await mini(name, '--help');
          assert.is(own.code, 0, name);
          assert.ok(own.stdout.length > 80, name);
        }
        const refused = async (args: readonly string[], reason: string | RegExp) => {
          const { code, stderr } = await mini(...args);
          assert.is(code, 2, `${args}: ${stderr}`);
          assert.match(stderr, reason);
          assert.not.match(stderr, /^ {4}at /m);
        };
        await refused(['srever'], 'Did you mean server?');
        await refused(['server', '--nope'], "unknown option '--nope'");
        await refused(['server', '--https-listen-port', '70000'], 'it must be a port');
        await refused(['server', '--node-ip', '10.0.0'], 'it must be an IP address');
        await refused(['server', '--cluster-cidr', '10.43.0.0/16'], 'overlap');
        await refused(['server', '--cluster-cidr', '10.42.0.0/28'], 'it must be a /24 or larger');
        await refused(['server', '--cluster-dns', '10.9.0.1'], 'is not in --service-cidr');
        await refused(['server', '--disable', 'coredns'], 'no such component');
        await refused(['agent'], 'A server to join is needed');
        await refused(['agent', '--server', '10.0.0.1:6443'], 'https://10.0.0.1:6443');
        await refused(
          ['agent', '--server', 'https://10.0.0.1:6443', '--token', 'K10abc::server:x'],
          'The CA hash of the token',
        );
        await refused(['token', 'create', '--ttl', 'soon'], 'such as 24h');
        await refused(['completion', 'tcsh'], 'use bash, zsh or fish');
        await refused(['server', '--config', '/nowhere.yaml'], 'does not exist');
        const version = JSON.parse((await mini('version', '-o', 'json')).stdout);
        assert.is(version.arch, 'x64');
        const licenses = (await mini('licenses')).stdout;
        for (const part of ['ws ', 'Node.js', 'SQLite', 'libjson-c5', 'GNU LESSER GENERAL'])
          assert.ok(licenses.includes(part), part);
      }),
    START_MS,
  );

  test(
    'says without a running mini what is not there',
    () =>
      withHost(async (host) => {
        const fails = async (args: readonly string[], reason: string) => {
          const { code, stderr } = await host.run([MINI, ...args]);
          assert.is(code, 1, stderr);
          assert.match(stderr, reason);
          assert.not.match(stderr, /^ {4}at /m);
        };
        await fails(['token', 'list'], '--kubeconfig');
        await fails(['image', 'ls'], 'No agent answers at /run/mini/agent.sock');
        await fails(['server', '--bind-address', '10.9.9.9'], 'no address of this host');
        await fails(['up', '--bind-address', '10.9.9.9'], 'mini server did not start');
        const asUser = await host.run([
          'setpriv',
          '--reuid=65534',
          '--clear-groups',
          MINI,
          'server',
        ]);
        assert.is(asUser.code, 1);
        assert.match(asUser.stderr, 'must be started as root');
        const check = await host.run([MINI, 'check']);
        assert.is(check.code, 0, check.stdout);
        assert.match(check.stdout, /^ok +overlayfs/m);
        const bad = await host.run([MINI, 'check', '--data-dir', '/proc/mini']);
        assert.is(bad.code, 1);
        assert.match(bad.stdout, /^missing +data directory/m);
      }),
    START_MS,
  );

  test(
    'up and down, twice each, leave nothing behind',
    () =>
      withHost(async (host) => {
        const before = await state(host);
        const first = await host.mini('up');
        assert.match(first, 'Sample answers');
        const second = await host.mini('up');
        assert.match(second, 'runs already');
        assert.match(second, 'Sample answers');
        const again = await host.run([MINI, 'server', '--run-dir', '/run/other']);
        assert.is(again.code, 1);
        assert.match(again.stderr, /Another mini server \(pid \d+\) uses \/var\/lib\/mini/);
        const port = await host.run(
          [MINI, 'server', '--data-dir', '/run/b', '--run-dir', '/run/c', '--disable-agent'],
          { env: { MINI_WRITE_KUBECONFIG: '/run/d' } },
        );
        assert.match(port.stderr, 'port 6443 of 0.0.0.0 is in use');
        assert.match(await host.mini('check'), 'mini server runs');
        assert.not.match(await host.ok(['cat', '/var/lib/mini/server.log']), 'Warning');
        assert.match(await host.mini('down'), /Ended 2 containers/);
        await host.ok(['test', '-d', '/var/lib/mini/server']);
        await host.mini('down', '--remove-data');
        await host.mini('down', '--remove-data');
        await host.ok(['rm', '-rf', '/run/b', '/run/c', '/run/other']);
        assert.equal(await state(host), before);
      }),
    2 * START_MS,
  );

  test(
    'settings come from file and environment',
    () =>
      withHost(async (host) => {
        writeFileSync(
          join(host.dir, 'mini.yaml'),
          `data-dir: /var/lib/mini/elsewhere
https-listen-port: 7443
disable-agent: true
disable: [scheduler]
tls-san: [mini.example.org]
write-kubeconfig-mode: "0644"
node-label: a=b
`,
        );
        const config = join(host.dir, 'mini.yaml');
        const server = host.start([MINI, 'server', '--https-listen-port', '7444'], {
          MINI_CONFIG: config,
          MINI_DATA_DIR: '/var/lib/mini/env',
        });
        await logged(server, 'Server answers', 'https://127.0.0.1:7444');
        await host.ok(['test', '-s', '/var/lib/mini/env/server/db/state.db']);
        assert.is((await host.ok(['stat', '-c', '%a', '/etc/mini/kubeconfig.yaml'])).trim(), '644');
        const names = await host.ok([
          'sh',
          '-c',
          'openssl s_client -connect 127.0.0.1:7444 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName',
        ]);
        assert.match(names, 'mini.example.org');
        await server.kill('SIGINT');
        assert.is(await server.exited, 0, server.output());
        const bad = await host.run([MINI, 'server'], { env: { MINI_HTTPS_LISTEN_PORT: 'x' } });
        assert.is(bad.code, 2);
        assert.match(bad.stderr, 'MINI_HTTPS_LISTEN_PORT=x');
        writeFileSync(config, 'dat-dir: /x\n');
        const typo = await host.run([MINI, 'server', '--config', config]);
        assert.is(typo.code, 2);
        assert.match(typo.stderr, 'dat-dir');
        writeFileSync(config, 'a: [\n');
        assert.is((await host.run([MINI, 'server', '--config', config])).code, 2);
      }),
    START_MS,
  );

  test(
    'tokens and images of a running server',
    () =>
      withHost(async (host) => {
        const server = host.startMini('server');
        await logged(server, 'Node runs', 'Connected to server');
        await tokens(host);
        await images(host);
        assert.not.match(server.output(), 'Warning');
        await server.kill('SIGTERM');
        assert.is(await server.exited, 0);
      }),
    2 * START_MS,
  );
});

async function tokens(host: Host): Promise<void> {
  const token = (
    await host.mini('token', 'create', '--ttl', '1h', '--description', 'rack 2')
  ).trim();
  assert.match(token, /^K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}$/);
  const id = token.split('::')[1]?.split('.')[0] ?? '';
  const listed = await host.mini('token', 'list');
  assert.match(listed, new RegExp(`^${id} .*rack 2$`, 'm'));
  assert.not.ok(listed.includes(token.split('.')[1] ?? ''), 'the secret is listed');
  assert.match(await host.mini('token', 'delete', id), id);
  assert.not.match(await host.mini('token', 'list'), id);
  const gone = await host.run([MINI, 'token', 'delete', id]);
  assert.is(gone.code, 1);
  assert.match(gone.stderr, `no token ${id}`);
}

async function images(host: Host): Promise<void> {
  const mini = (args: readonly string[], input?: Buffer): Promise<Output> =>
    host.run([MINI, 'image', ...args], input ? { input } : {});
  const tags = async () =>
    (JSON.parse((await mini(['ls', '-o', 'json'])).stdout) as { tags: string[] }[]).flatMap(
      (entry) => entry.tags,
    );
  assert.is(
    (await mini(['import', '-'], await dockerArchive(await image('test/docker:1')))).code,
    0,
  );
  const layout = join(host.dir, 'layout');
  await writeLayout(layout, [await image('docker.io/test/layout:1')]);
  const imported = await mini(['import', layout]);
  assert.is(imported.code, 0, imported.stderr);
  assert.match(imported.stdout, 'docker.io/test/layout:1');
  assert.ok((await tags()).includes('docker.io/test/docker:1'));
  const archive = join(host.dir, 'out.tar');
  assert.is((await mini(['export', 'test/docker:1', 'test/layout:1', '-o', archive])).code, 0);
  for (const name of ['test/docker:1', 'test/layout:1'])
    assert.is((await mini(['rm', name])).code, 0);
  assert.not.ok((await tags()).includes('docker.io/test/docker:1'));
  assert.is((await mini(['import', '-'], readFileSync(archive))).code, 0);
  assert.ok((await tags()).includes('docker.io/test/layout:1'));
  const damaged = await mini(['import', '-'], Buffer.from('no archive'));
  assert.is(damaged.code, 1);
  assert.not.match(damaged.stderr, /^ {4}at /m);
  assert.is((await mini(['rm', 'test/none:1'])).code, 1);
  const store = join(host.dir, 'registry');
  await fillRegistry(store, 'team/app');
  const config = join(host.dir, 'registry.json');
  const settings = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: store } },
    http: { addr: '127.0.0.1:5000' },
  };
  writeFileSync(config, JSON.stringify(settings));
  const registry = host.start(['docker-registry', 'serve', config]);
  await logged(registry, 'listening on');
  const pulled = await mini(['pull', '127.0.0.1:5000/team/app:1']);
  assert.is(pulled.code, 0, pulled.stderr);
  assert.ok((await tags()).includes('127.0.0.1:5000/team/app:1'));
  const missing = await mini(['pull', '127.0.0.1:5000/team/none:1']);
  assert.is(missing.code, 1);
  await registry.kill('SIGKILL');
}

interface Speaking {
  output(): string;
  readonly exited: Promise<number>;
}

/** Resolves when a program has printed all of these; rejects when it ends first. */
async function logged(program: Speaking, ...texts: readonly string[]): Promise<void> {
  let isOver = false;
  void program.exited.then(() => {
    isOver = true;
  });
  while (!texts.every((text) => program.output().includes(text))) {
    if (isOver) throw new Error(`It ended:\n${program.output()}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** What mini could leave on a host. */
function state(host: Host): Promise<string> {
  return host.ok([
    'sh',
    '-c',
    `ip -br link | cut -d' ' -f1; cut -d' ' -f2 /proc/self/mounts | grep -vE '^/(tmp|run/netns)'; ls -A /run /var/lib/mini /etc/mini 2>&1
find /sys/fs/cgroup -name mini; ps -eo comm | grep -c mini`.replace(
      'grep -c mini',
      "grep -c 'mini' || true",
    ),
  ]);
}
