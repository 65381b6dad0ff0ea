/** User namespaces: made and joined, ids of the root and of mounts, devices, terminals, execs. */

import { chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { CreateSpec } from '../../pkg/runtime/runtime.ts';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, type Fixture, type Options, textOf } from './fixture.ts';

const BASE = 300_000;
const SIZE = 65_536;
const MAPPINGS = [{ containerID: 0, hostID: BASE, size: SIZE }];
const NAMESPACES = ['user', 'pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({
  type,
}));

/** A container in a user namespace: its upper directory belongs to root inside. */
function specOf(
  fixture: Fixture,
  id: string,
  { args, ...options }: Options & { readonly args: readonly string[] },
): CreateSpec {
  const spec = fixture.spec(id, args, {
    namespaces: NAMESPACES,
    ...options,
    linux: { uidMappings: MAPPINGS, gidMappings: MAPPINGS, ...options.linux },
  });
  if (spec.overlay) chownSync(spec.overlay.upper, BASE, BASE);
  return spec;
}

async function run(fixture: Fixture, id: string, options: Parameters<typeof specOf>[2]) {
  await fixture.runtime.run(specOf(fixture, id, options));
  const exit = await fixture.exit(id);
  const lines = fixture.log(id).map((line) => line.replace(/^\w+ [FP] /, ''));
  await fixture.runtime.delete(id);
  return { lines, exit };
}

suite('user namespaces', ({ test, cleanup }) => {
  test('root inside is another id outside, and owns the image’s files and what it writes', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const script = [
      'id -u; cat /proc/self/uid_map',
      'stat -c %u:%g /bin/busybox / /proc/1 /dev/shm',
      'touch /made; stat -c %u /made',
      'echo x > /dev/null && head -c 4 /dev/zero | wc -c; ls -d /sys/class /sys/fs/cgroup',
      'echo hello > /dev/stdout',
      'hostname; touch /proc/sys/kernel/x 2>/dev/null; ulimit -n',
    ].join(';');
    const { lines, exit } = await run(fixture, 'one', {
      args: ['sh', '-c', script],
      process: { oomScoreAdj: 500 },
    });
    assert.equal(exit.exitCode, 0, lines.join('\n'));
    assert.equal(lines[0], '0');
    assert.match(lines[1] ?? '', new RegExp(`^\\s*0\\s+${BASE}\\s+${SIZE}$`));
    assert.equal(lines.slice(2, 6), ['0:0', '0:0', '0:0', '0:0']);
    assert.equal(lines[6], '0');
    assert.ok(lines.includes('hello'), lines.join('\n'));
    const made = statSync(join(fixture.dir, 'c-one/upper/made'));
    assert.equal([made.uid, made.gid], [BASE, BASE]);
  });

  test('execs, with and without a terminal, are inside; the terminal belongs to the user', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const { runtime } = fixture;
    await runtime.run(
      specOf(fixture, 'two', {
        args: ['sleep', '60'],
        hasTerminal: true,
        process: { rlimits: [] },
      }),
    );
    const facts = { env: ['PATH=/bin'], cwd: '/', user: { uid: 7, gid: 8 }, hasStdin: false };
    const args = ['sh', '-c', 'id -u; id -G; cat /proc/self/uid_map; echo out > /dev/stdout'];
    const plain = await runtime.exec('two', { ...facts, execId: 'a', args, hasTerminal: false });
    const text = await textOf(plain.stdout);
    assert.match(text, /^7\n8\n\s*0\s+300000\s+65536\nout\n$/);
    const tty = ['sh', '-c', 'stat -c %u $(tty); stat -c %u:%t:%T /dev/console /dev/null'];
    const session = await runtime.exec('two', {
      ...facts,
      execId: 'b',
      args: tty,
      hasTerminal: true,
    });
    assert.match(await textOf(session.stdout), /^7\r\n0:88:0\r\n65534:1:3\r\n$/);
    assert.equal((await session.exited).exitCode, 0);
  });

  test('by path: with the namespaces that it owns', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const { runtime } = fixture;
    const first = specOf(fixture, 'first', { args: ['sleep', '60'] });
    const { pid } = await runtime.run(first);
    const joined = ['user', 'pid', 'ipc', 'uts', 'cgroup'].map((type) => ({
      type,
      path: `/proc/${pid}/ns/${type}`,
    }));
    const { lines } = await run(fixture, 'second', {
      args: ['sh', '-c', 'cat /proc/self/uid_map; hostname; cat /proc/1/cmdline'],
      namespaces: [...joined, { type: 'network', path: `/proc/${pid}/ns/net` }, { type: 'mount' }],
      linux: { uidMappings: [], gidMappings: [] },
      config: { hostname: '' },
    });
    assert.match(lines[0] ?? '', /^\s*0\s+300000\s+65536$/);
    assert.equal(lines.slice(1), ['box', 'sleep\u000060\u0000']);
  });

  test('a mount with mapped ids shows the host’s owner, one without shows nobody', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const source = join(fixture.dir, 'volume');
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'x');
    chownSync(source, 0, 0);
    chownSync(join(source, 'file'), 5, 6);
    const mount = { type: 'bind', source };
    const { lines, exit } = await run(fixture, 'maps', {
      args: [
        'sh',
        '-c',
        'for d in mapped plain own; do stat -c %u:%g /$d/file; done; touch /mapped/new; touch /plain/new',
      ],
      mounts: [
        { ...mount, destination: '/mapped', options: ['rbind', 'ridmap'] },
        { ...mount, destination: '/plain', options: ['bind'] },
        {
          ...mount,
          destination: '/own',
          options: ['bind'],
          uidMappings: [{ containerID: 0, hostID: BASE + 100, size: 10 }],
          gidMappings: [{ containerID: 0, hostID: BASE + 200, size: 10 }],
        },
      ],
    });
    assert.equal(lines.slice(0, 3), ['5:6', '65534:65534', '105:206']);
    assert.match(lines[3] ?? '', /Permission denied/);
    assert.is.not(exit.exitCode, 0);
    assert.is(statSync(join(source, 'new')).uid, 0);
  });

  test('mapped mounts work without a user namespace of the container', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const source = join(fixture.dir, 'volume');
    mkdirSync(source);
    chownSync(source, 1000, 1000);
    const maps = [{ containerID: 1000, hostID: 2000, size: 5 }];
    const mount = { destination: '/v', type: 'bind', source, options: ['bind', 'idmap'] };
    const options = { mounts: [{ ...mount, uidMappings: maps, gidMappings: maps }] };
    const { lines } = await fixture.runToEnd(['stat', '-c', '%u:%g', '/v'], options);
    assert.equal(lines, ['2000:2000']);
    const error = await rejects(
      fixture.runtime.run(fixture.spec('x', ['true'], { mounts: [mount] })),
    );
    assert.match(String(error), /idmap needs uidMappings and gidMappings, or a user namespace/);
    const proc = { destination: '/v', type: 'bind', source: '/proc', options: ['rbind', 'idmap'] };
    const refused = await rejects(
      fixture.runtime.run(
        fixture.spec('y', ['true'], {
          mounts: [{ ...proc, uidMappings: maps, gidMappings: maps }],
        }),
      ),
    );
    assert.match(
      String(refused),
      /map ids of \/proc: its file system \(type 0x9fa0\) cannot map ids/,
    );
  });

  test('refuses mappings without a namespace, a namespace without mappings, bad ranges', async () => {
    const fixture = await createFixture();
    cleanup(() => fixture.close());
    const failure = async (id: string, options: Options) =>
      String(await rejects(fixture.runtime.run(fixture.spec(id, ['true'], options))));
    const maps = { uidMappings: MAPPINGS, gidMappings: MAPPINGS };
    const namespaces = NAMESPACES.filter(({ type }) => type !== 'user');
    assert.match(await failure('a', { namespaces, linux: maps }), /need a user namespace/);
    assert.match(
      await failure('b', { namespaces: NAMESPACES }),
      /linux.uidMappings must have 1 to/,
    );
    const bad = [{ containerID: 0, hostID: -5, size: 1 }];
    const linux = { uidMappings: bad, gidMappings: MAPPINGS };
    assert.match(await failure('c', { namespaces: NAMESPACES, linux }), /uidMappings\[0\]/);
  });
});
