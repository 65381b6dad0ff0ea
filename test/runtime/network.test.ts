/** Sandboxes and the host's interfaces and routes, inside a network namespace of the test's own. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import * as assert from 'uvu/assert';
import type { SandboxSpec } from '../../pkg/runtime/runtime.ts';
import { sleep } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, type Fixture, helperPath, textOf } from './fixture.ts';

const MIB = 1 << 20;
const MEMORY_GROUPS = '/sys/fs/cgroup/memory';
/** Listens on 6001 and 6002, prints what comes where; sends each line `<port> <text>` of its input from port 7000. */
const DATAGRAMS = `
const { createSocket } = require('node:dgram');
const open = (port) => new Promise((done) => {
  const socket = createSocket('udp4');
  socket.on('message', (text) => console.log(port + ' ' + text));
  socket.bind(port, '127.0.0.1', () => done(socket));
});
Promise.all([7000, 6001, 6002].map(open)).then(([client]) => {
  console.log('ready');
  require('node:readline').createInterface(process.stdin).on('line', (line) => {
    const [port, text] = line.split(' ');
    client.send(text, Number(port), '127.0.0.1');
  });
});`;

const BRIDGE = { name: 'mbr0', address: '10.99.0.1/24', mtu: 1450 };

/** What a watch says of one kind; another kind may be true of a busy machine. */
async function* wordsOf(watch: Duplex, kind: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: watch })) if (line === kind) yield line;
}

/** Its processes have been killed; the kernel may still be ending them. */
async function removeGroup(path: string): Promise<void> {
  while (readFileSync(join(path, 'cgroup.procs'), 'utf8') !== '') await sleep(5);
  rmdirSync(path);
}

interface Net {
  readonly fixture: Fixture;
  /** Of the network, as `ip netns` has it. */
  readonly namespace: string;
  /** One transaction of nft in it. */
  nft(script: string): void;
  /** Runs `ip` in the test's own namespace. */
  ip(...args: readonly string[]): string;
}

suite('runtime network', ({ test, cleanup }) => {
  /** The helper runs within a fresh network namespace, which stands for the host's. */
  async function setUp(before = ''): Promise<Net> {
    const dir = mkdtempSync(join(tmpdir(), 'mini-ns-'));
    const namespace = basename(dir);
    execFileSync('ip', ['netns', 'add', namespace]);
    const wrapper = join(dir, 'helper');
    writeFileSync(
      wrapper,
      `#!/bin/sh\nexec nsenter --net=/run/netns/${namespace} ${before} ${helperPath()} "$@"\n`,
    );
    chmodSync(wrapper, 0o755);
    const fixture = await createFixture(wrapper);
    cleanup(async () => {
      await fixture.close();
      execFileSync('ip', ['netns', 'delete', namespace]);
      rmSync(dir, { recursive: true });
    });
    return {
      fixture,
      namespace,
      nft: (input) =>
        void execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'nft', '-f', '-'], {
          input,
        }),
      ip: (...args) => execFileSync('ip', ['-n', namespace, ...args], { encoding: 'utf8' }),
    };
  }

  const sandbox = (id: string, number: number): SandboxSpec => ({
    id,
    hostname: `pod-${id}`,
    namespaces: ['net', 'ipc', 'uts'],
    interface: {
      hostName: `v${id}`,
      name: 'eth0',
      bridge: BRIDGE.name,
      address: `10.99.0.${number}/24`,
      gateway: '10.99.0.1',
      mtu: BRIDGE.mtu,
    },
    sysctls: { 'net.ipv4.ip_local_port_range': '20000 30000' },
  });

  test('makes a bridge once, with its address and forwarding', async () => {
    const { fixture, ip } = await setUp();
    await fixture.runtime.ensureBridge(BRIDGE);
    await fixture.runtime.ensureBridge(BRIDGE);
    const text = ip('address', 'show', BRIDGE.name);
    assert.match(text, /mtu 1450/);
    assert.match(text, /inet 10\.99\.0\.1\/24 brd 10\.99\.0\.255/);
    await fixture.runtime.deleteInterface(BRIDGE.name);
    await fixture.runtime.deleteInterface(BRIDGE.name);
    assert.not.match(ip('link'), BRIDGE.name);
  });

  test('joins sandboxes to the bridge so that their containers reach each other', async () => {
    const { fixture: f, ip } = await setUp();
    await f.runtime.ensureBridge(BRIDGE);
    const [one, two] = await Promise.all([
      f.runtime.createSandbox(sandbox('s1', 11)),
      f.runtime.createSandbox(sandbox('s2', 12)),
    ]);
    assert.match(ip('-d', 'link', 'show', 'vs1'), /master mbr0/);
    const inside = (paths: Readonly<Record<string, string>>) => [
      { type: 'pid' },
      { type: 'mount' },
      { type: 'cgroup' },
      { type: 'network', path: paths['net'] ?? '' },
      { type: 'ipc', path: paths['ipc'] ?? '' },
      { type: 'uts', path: paths['uts'] ?? '' },
    ];
    await f.runtime.run(
      f.spec('web', ['nc', '-ll', '-p', '8080', '-e', 'echo', 'from-one'], {
        namespaces: inside(one.namespaces),
        config: { hostname: undefined },
      }),
    );
    const script =
      'hostname; ip -o address; ip route; cat /proc/sys/net/ipv4/ip_local_port_range; ' +
      'until nc 10.99.0.11 8080; do :; done';
    await f.runtime.run(
      f.spec('client', ['sh', '-c', script], {
        namespaces: inside(two.namespaces),
        config: { hostname: undefined },
      }),
    );
    await f.exit('client');
    const lines = f.log('client').map((line) => line.replace('stdout F ', ''));
    assert.is(lines[0], 'pod-s2');
    assert.ok(lines.some((line) => line.includes('10.99.0.12/24')));
    assert.not.ok(lines.some((line) => line.includes('inet6')));
    assert.ok(lines.some((line) => line.startsWith('default via 10.99.0.1 dev eth0')));
    assert.ok(lines.includes('20000\t30000'));
    assert.is(lines.at(-1), 'from-one');

    const pipe = await f.runtime.connect('s1', 8080);
    pipe.end();
    assert.is(await textOf(pipe), 'from-one\n');
    assert.match(String(await rejects(f.runtime.connect('s2', 81))), /Connection refused/);
  });

  test('deletes a sandbox, also twice, and the mount that held the pins with the last one', async () => {
    const { fixture: f, ip } = await setUp();
    await f.runtime.ensureBridge(BRIDGE);
    await f.runtime.createSandbox(sandbox('s1', 11));
    assert.equal(
      (await f.runtime.listSandboxes()).map((s) => [s.id, Object.keys(s.namespaces)]),
      [['s1', ['net', 'ipc', 'uts', 'shm']]],
    );
    await f.runtime.deleteSandbox('s1');
    await f.runtime.deleteSandbox('s1');
    assert.equal(await f.runtime.listSandboxes(), []);
    assert.not.match(ip('link'), 'vs1');
    assert.equal(readdirSync(join(f.runDir, 'sandboxes')), []);
  });

  test('leaves nothing of a sandbox that could not be made', async () => {
    const { fixture: f, ip } = await setUp();
    assert.match(
      String(await rejects(f.runtime.createSandbox(sandbox('s1', 11)))),
      /No such device/,
    );
    await f.runtime.ensureBridge(BRIDGE);
    const bad = { ...sandbox('s2', 12), sysctls: { 'net.no.such': '1' } };
    assert.match(String(await rejects(f.runtime.createSandbox(bad))), /net\.no\.such/);
    assert.equal(await f.runtime.listSandboxes(), []);
    assert.not.match(ip('link'), 'vs2');
    assert.not.ok(existsSync(join(f.runDir, 'sandboxes/s2')));
  });

  test('keeps exactly the routes it was told, and touches no others', async () => {
    const { fixture: f, ip } = await setUp();
    await f.runtime.ensureBridge(BRIDGE);
    ip('route', 'add', '10.50.0.0/16', 'dev', BRIDGE.name);
    const route = (third: number) => ({
      destination: `10.60.${third}.0/24`,
      via: '10.99.0.9',
      device: BRIDGE.name,
    });
    await f.runtime.setRoutes([route(1), route(2)]);
    await f.runtime.setRoutes([
      route(2),
      route(3),
      { destination: '10.61.0.0/16', device: BRIDGE.name },
    ]);
    const routes = ip('route')
      .split('\n')
      .map((line) => line.split(' ')[0])
      .filter((to) => to);
    assert.equal(routes.sort(), [
      '10.50.0.0/16',
      '10.60.2.0/24',
      '10.60.3.0/24',
      '10.61.0.0/16',
      '10.99.0.0/24',
    ]);
    await f.runtime.setRoutes([]);
    assert.is(
      ip('route')
        .split('\n')
        .filter((line) => line).length,
      2,
    );
  });

  test('hears when others remove rules of its table, not when it is written anew or another is removed', async () => {
    const { fixture: f, nft } = await setUp();
    const table = (name: string, rules = '') =>
      `table inet ${name}\ndelete table inet ${name}\ntable inet ${name} { chain c { ${rules}; }; }\n`;
    nft(table('mini-x', 'accept'));
    nft(table('mini-xy', 'accept'));
    const watch = await f.runtime.watchHost('mini-x', 0);
    const heard = wordsOf(watch, 'rules');
    nft(table('mini-x', 'drop'));
    nft('delete table inet mini-xy\n');
    for (const removal of [
      'flush chain inet mini-x c',
      'delete table inet mini-x',
      'flush ruleset',
    ]) {
      nft(table('mini-x', 'drop'));
      nft(`${removal}\n`);
      assert.equal(await heard.next(), { value: 'rules', done: false }, removal);
    }
    nft(table('mini-x', 'accept'));
    watch.end();
    assert.equal(await heard.next(), { value: undefined, done: true }, 'nothing else was heard');
  });

  test('hears when memory goes beyond the level of now', async () => {
    if (!existsSync(join(MEMORY_GROUPS, 'cgroup.event_control'))) return; // cgroup v2: test/guest.
    const group = mkdtempSync(join(MEMORY_GROUPS, 'minitest-level-'));
    cleanup(() => removeGroup(group));
    const bound = `unshare --mount sh -c 'mount --bind ${group} ${MEMORY_GROUPS} && exec "$@"' sh`;
    const { fixture: f } = await setUp(bound);
    // Over and over from nothing to 64 MiB: tail keeps a line until it ends.
    const busy = `echo $$ > ${group}/cgroup.procs; while :; do head -c 64m /dev/zero | tail; done`;
    const hog = spawn('sh', ['-c', busy], {
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
    });
    const ended = once(hog, 'close');
    cleanup(async () => {
      process.kill(-(hog.pid ?? 0), 'SIGKILL');
      await ended;
    });
    // The level is given at first, or later.
    for (const [first, later] of [
      [32 * MIB, undefined],
      [0, 32 * MIB],
    ] as const) {
      const watch = await f.runtime.watchHost('mini-x', first);
      if (later !== undefined) watch.write(`${later}\n`);
      const heard = await wordsOf(watch, 'memory').next();
      assert.is(heard.value, 'memory');
      watch.destroy();
    }
  });

  test('forgets the flows of UDP ports, and no others', async () => {
    const { fixture: f, ip, nft, namespace } = await setUp();
    ip('link', 'set', 'lo', 'up');
    const lead = (port: number) =>
      nft(`table inet lead
delete table inet lead
table inet lead { chain out {
  type nat hook output priority -100
  udp dport { 5001, 5002 } dnat ip to 127.0.0.1:${port}
}
}
`);
    lead(6001);
    const command = [`--net=/run/netns/${namespace}`, process.execPath, '-e', DATAGRAMS];
    const peers = spawn('nsenter', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(peers, 'close');
    cleanup(async () => {
      peers.kill('SIGKILL');
      await ended;
    });
    const arrived = createInterface({ input: peers.stdout })[Symbol.asyncIterator]();
    assert.is((await arrived.next()).value, 'ready');
    const send = async (text: string) => {
      peers.stdin.write(`${text}\n`);
      return (await arrived.next()).value;
    };
    assert.is(await send('5001 a'), '6001 a');
    assert.is(await send('5002 b'), '6001 b');
    lead(6002);
    assert.is(await send('5001 c'), '6001 c', 'a known flow goes where it went');
    await f.runtime.forgetFlows([5001, 9]);
    assert.is(await send('5001 d'), '6002 d');
    assert.is(await send('5002 e'), '6001 e');
    await f.runtime.forgetFlows([]);
  });
});
