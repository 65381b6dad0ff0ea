/** The six kinds of hooks: where and when they run, what they are given, and what their failure does. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { type Bundle, createBundle } from './bundle.ts';
import { createFixture } from './fixture.ts';

const KINDS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;

/** A hook of the host that appends its kind, mount namespace, directory and state to a file. */
function recording(kind: string, file: string) {
  const script = `{ echo "$KIND $1 $(/bin/busybox readlink /proc/self/ns/mnt) $PWD"; /bin/busybox cat; echo; } >> ${file}`;
  return {
    path: '/bin/busybox',
    args: ['sh', '-c', script, 'x', 'argument'],
    env: [`KIND=${kind}`],
  };
}

interface Record_ {
  readonly kind: string;
  readonly argument: string;
  readonly namespace: string;
  readonly cwd: string;
  readonly state: Readonly<Record<string, unknown>>;
}

function records(file: string): readonly Record_[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.flatMap((line, at) => {
    if (at % 2 === 1) return [];
    const [kind = '', argument = '', namespace = '', cwd = ''] = line.split(' ');
    return [{ kind, argument, namespace, cwd, state: JSON.parse(lines[at + 1] ?? '') }];
  });
}

suite('runtime hooks', ({ test, cleanup }) => {
  const setUp = async () => {
    const made = await createBundle();
    cleanup(() => made.close());
    return made;
  };
  const failing = (b: Bundle, kind: string, more: Readonly<Record<string, unknown>> = {}) => {
    const script = 'echo why not >&2; exit 3';
    const hook = { path: '/bin/sh', args: ['sh', '-c', script], ...more };
    const poststop = [recording('poststop', join(b.dir, 'after'))];
    return { config: { hooks: { poststop, [kind]: [hook] } } };
  };

  test('run in their order and namespaces with the state, arguments and environment', async () => {
    const b = await setUp();
    const file = join(b.dir, 'records');
    const hooks = Object.fromEntries(
      KINDS.map((kind) => [
        kind,
        // The one of the container's own root writes there.
        kind === 'startContainer'
          ? [{ ...recording(kind, '/records') }]
          : [recording(kind, file), recording(kind, file)],
      ]),
    );
    b.config(['sleep', '100'], { config: { hooks, annotations: { 'org.mini': 'yes' } } });
    assert.is(b.create('a').status, 0);
    const { pid } = b.state();
    assert.equal(b.state()['annotations'], { 'org.mini': 'yes' });
    const own = readFileSync(file, 'utf8');
    assert.not.match(own, /poststart/);
    assert.is(b.oci('start', 'a').status, 0);
    b.oci('delete', '--force', 'a');
    const seen = records(file);
    assert.equal(
      seen.map(({ kind }) => kind),
      ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'].flatMap((kind) => [
        kind,
        kind,
      ]),
    );
    const inside = records(join(b.bundle, 'rootfs/records'))[0];
    assert.ok(inside);
    const all = [...seen, inside];
    const of = (kind: string) => {
      const found = all.find((one) => one.kind === kind);
      if (!found) throw new Error(`No ${kind}`);
      return found;
    };
    const host = of('prestart').namespace;
    for (const kind of ['createRuntime', 'poststart', 'poststop'])
      assert.is(of(kind).namespace, host, kind);
    assert.is(of('createContainer').namespace, inside.namespace);
    assert.is.not(inside.namespace, host);
    assert.ok(all.every(({ argument }) => argument === 'argument'));
    assert.equal([of('prestart').cwd, inside.cwd], [b.bundle, '/']);
    const told = (kind: string) => [of(kind).state['status'], of(kind).state['pid']];
    assert.equal(told('prestart'), ['creating', pid]);
    assert.equal(told('createRuntime'), ['creating', pid]);
    assert.equal(told('createContainer'), ['creating', 1]);
    assert.equal(told('startContainer'), ['created', 1]);
    assert.equal(told('poststart'), ['running', pid]);
    assert.equal(told('poststop'), ['stopped', undefined]);
    const { ociVersion, id, bundle, annotations } = inside.state;
    assert.equal([ociVersion, id, bundle], ['1.2.0', 'a', b.bundle]);
    assert.equal(annotations, { 'org.mini': 'yes' });
  });

  for (const kind of ['prestart', 'createRuntime', 'createContainer'])
    test(`a failing ${kind} hook leaves no container, and poststop runs`, async () => {
      const b = await setUp();
      b.config(['sleep', '100'], failing(b, kind));
      assert.is(b.create('a').status, 1);
      const log = readFileSync(join(b.dir, 'log'), 'utf8');
      assert.match(log, new RegExp(`hook ${kind}\\[0\\] /bin/sh: exit status 3: why not"`));
      assert.match(b.oci('state', 'a').stderr, /does not exist/);
      assert.is(records(join(b.dir, 'after')).length, 1);
      assert.not.ok(existsSync(join('/sys/fs/cgroup/pids', b.cgroup)));
    });

  test('a failing startContainer hook stops the container', async () => {
    const b = await setUp();
    b.config(['sleep', '100'], failing(b, 'startContainer', { path: '/bin/busybox' }));
    assert.is(b.create('a').status, 0);
    assert.match(b.oci('start', 'a').stderr, /hook startContainer\[0\] .*exit status 3: why not/);
    while (b.state()['status'] !== 'stopped') await new Promise((done) => setImmediate(done));
    assert.is(b.oci('delete', 'a').status, 0);
    assert.is(records(join(b.dir, 'after')).length, 1);
  });

  test('failing poststart and poststop hooks are told, no more', async () => {
    const b = await setUp();
    const hook = { path: '/no/such', timeout: 5 };
    b.config(['sleep', '100'], { config: { hooks: { poststart: [hook], poststop: [hook] } } });
    assert.is(b.create('a').status, 0);
    const started = b.oci('start', 'a');
    assert.is(started.status, 0);
    assert.match(started.stderr, /warning: hook poststart\[0\] \/no\/such: exit status 127/);
    assert.is(b.state()['status'], 'running');
    const deleted = b.oci('delete', '--force', 'a');
    assert.equal([deleted.status, /poststop/.test(deleted.stderr)], [0, true]);
    assert.match(
      readFileSync(join(b.dir, 'log'), 'utf8'),
      /"level":"warning","msg":"hook poststop/,
    );
  });

  test('ends a hook whose time is over', async () => {
    const b = await setUp();
    const mark = join(b.dir, 'mark');
    const script = `sleep 1000; touch ${mark}`;
    const hook = { path: '/bin/sh', args: ['sh', '-c', script], timeout: 1 };
    b.config(['true'], { config: { hooks: { createRuntime: [hook] } } });
    assert.is(b.create('a').status, 1);
    assert.match(
      readFileSync(join(b.dir, 'log'), 'utf8'),
      /createRuntime\[0\].*timed out after 1 s/,
    );
    assert.not.ok(existsSync(mark));
  });

  for (const [hook, message] of [
    [{ path: 'bin/true' }, /hooks.prestart\[0\].path must be absolute/],
    [{ path: '/bin/true', timeout: 0 }, /timeout must be more than 0/],
  ] as const)
    test(`refuses the hook ${JSON.stringify(hook)}`, async () => {
      const b = await setUp();
      b.config(['true'], { config: { hooks: { prestart: [hook] } } });
      assert.match(b.oci('create', '--bundle', b.bundle, 'a').stderr, message);
    });

  test('run for the containers of the daemon, too', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const file = join(f.dir, 'records');
    writeFileSync(file, '');
    const kinds = ['prestart', 'createContainer', 'poststart', 'poststop'];
    const hooks = Object.fromEntries(kinds.map((kind) => [kind, [recording(kind, file)]]));
    await f.runToEnd(['true'], { config: { hooks } });
    assert.equal(
      records(file).map(({ kind }) => kind),
      kinds,
    );
    const hook = { path: '/bin/false' };
    const bad = f.spec('x', ['true'], { config: { hooks: { createRuntime: [hook] } } });
    const why = String(await rejects(f.runtime.run(bad)));
    assert.match(why, /hook createRuntime\[0\] \/bin\/false: exit status 1\b/);
    assert.equal(await f.runtime.list(), []);
  });
});
