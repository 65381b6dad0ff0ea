/** What the built server keeps: through kill -9 under writers, on a full disk, and when its files are damaged. */

import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as assert from 'uvu/assert';
import { CONFIG_MAPS, startApiHost } from '../harness/api-host.ts';
import { type Host, Switch } from '../harness/hosts.ts';
import { type Answer, eventually, type Json, type RawApi } from '../harness/raw-api.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 60_000;
const WRITERS = 64;
const MINI = new URL('../../dist/mini', import.meta.url).pathname;

/** Writes until told to stop; collects the resourceVersion of every write that was answered. */
function writers(api: RawApi) {
  const answered = new Map<string, string>();
  let isStopped = false;
  const write = async (name: string) => {
    const body = { metadata: { name }, data: { v: 'x'.repeat(1_000) } };
    const created = await api.call(CONFIG_MAPS, { method: 'POST', body });
    if (created.code === 201) answered.set(name, created.json.metadata.resourceVersion);
    const labels = { round: '2' };
    const patched = await api.call(`${CONFIG_MAPS}/${name}`, {
      method: 'PATCH',
      type: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
    if (patched.code === 200) answered.set(name, patched.json.metadata.resourceVersion);
    else if (created.code === 201) answered.delete(name); // Either version is right.
  };
  const all = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let i = 0; !isStopped; i += 1) {
      const name = `w-${writer}-${i}`;
      // An answer lost on its way leaves open what the server has done: only the first version is then known.
      await write(name).catch(() => answered.delete(name));
    }
  });
  return {
    answered,
    stop: () => {
      isStopped = true;
      return Promise.all(all);
    },
  };
}

async function refusedStart(host: Host, ...flags: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run([MINI, 'server', '--disable-agent', ...flags], {
    timeoutMs: 20_000,
  });
  const said = stdout + stderr;
  assert.is(code, 1, said);
  assert.not.match(said, /^ +at /m);
  return said;
}

suite('e2e/api-state', ({ test, cleanup }) => {
  test(
    'kill -9 under 64 writers: every answered write is there with its resourceVersion',
    async () => {
      const started = await startApiHost();
      cleanup(() => started.close());
      const { api } = started;
      for (let round = 0; round < 2; round += 1) {
        const { answered, stop } = writers(api);
        await eventually('some writes', () => answered.size > 100);
        const stopped = stop();
        await started.restart();
        await stopped;
        const list = await api.ok(CONFIG_MAPS);
        const kept = new Map(
          list.items.map(({ metadata }: Json) => [metadata.name, metadata.resourceVersion]),
        );
        const lost = [...answered].filter(([name, version]) => kept.get(name) !== version);
        assert.equal(lost, []);
        const newest = Math.max(...[...answered.values()].map(Number));
        assert.ok(Number(list.metadata.resourceVersion) >= newest);
        for (const name of kept.keys()) {
          if (!String(name).startsWith('w-')) continue;
          await api.ok(`${CONFIG_MAPS}/${name}`, { method: 'DELETE' });
        }
      }
      started.checkOutput();
    },
    TIMEOUT_MS,
  );

  test(
    'a full disk refuses writes and says so; reads and leases go on; space brings writes back',
    async () => {
      const started = await startApiHost(async (host) => {
        await host.ok(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', '/var/lib/mini']);
      });
      cleanup(() => started.close());
      const { api, host } = started;
      await host.run(['dd', 'if=/dev/zero', 'of=/var/lib/mini/ballast', 'bs=64k']);
      const big = { v: 'x'.repeat(100_000) };
      let refusal: Answer | undefined;
      for (let i = 0; i < 200 && !refusal; i += 1) {
        const body = { metadata: { name: `big-${i}` }, data: big };
        const answer = await api.call(CONFIG_MAPS, { method: 'POST', body });
        if (answer.code !== 201) refusal = answer;
      }
      assert.ok(refusal, 'no write was refused');
      assert.is(refusal?.json?.kind, 'Status');
      assert.match(refusal?.json?.message ?? '', /disk.*full|full.*disk|no space/i);
      assert.is((await api.call(CONFIG_MAPS)).code, 200);
      const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
      const lease = { metadata: { name: 'held' }, spec: { holderIdentity: 'me' } };
      assert.is((await api.call(leases, { method: 'POST', body: lease })).code, 201);
      await host.ok(['rm', '/var/lib/mini/ballast']);
      await eventually('a write that is taken again', async () => {
        const body = { metadata: { generateName: 'after-' } };
        return (await api.call(CONFIG_MAPS, { method: 'POST', body })).code === 201;
      });
      started.checkOutput();
    },
    TIMEOUT_MS,
  );

  test(
    'damaged files are errors that name them, and stay as they are',
    async () => {
      const started = await startApiHost();
      await started.api.ok(CONFIG_MAPS, { method: 'POST', body: { metadata: { name: 'kept' } } });
      await started.server.kill('SIGTERM');
      const network = new Switch();
      cleanup(() => network.close());
      const host = await network.addHost('damaged');
      const intact = join(host.dir, 'intact');
      cpSync(join(started.host.dir, 'data'), intact, { recursive: true });
      await started.close();
      const data = join(host.dir, 'data');
      for (const [file, damage, expected] of DAMAGES) {
        rmSync(join(data, 'server'), { recursive: true, force: true });
        cpSync(join(intact, 'server'), join(data, 'server'), { recursive: true });
        const path = join(data, file);
        damage(path);
        const before = contentOf(path);
        const said = await refusedStart(host);
        assert.match(said, expected, file);
        assert.match(said, `/var/lib/mini/${file}`);
        assert.equal(contentOf(path), before, `${file} was changed`);
      }
      rmSync(join(data, 'server'), { recursive: true });
      cpSync(join(intact, 'server'), join(data, 'server'), { recursive: true });
      const server = host.startMini('server', '--disable-agent');
      await eventually('the server', () => /Server answers/.test(server.output()), server.output);
    },
    TIMEOUT_MS,
  );
});

const DAMAGES: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  [
    'server/db/state.db',
    (path) => writeFileSync(path, 'not a database'.repeat(1_000)),
    /damaged|not a database/,
  ],
  ['server/db/state.db', fromTheFuture, /newer/],
  ['server/tls/server-ca.key', (path) => rmSync(path), /does not; restore it/],
  ['server/tls/server-ca.crt', (path) => rmSync(path), /restore it from a backup/],
  ['server/tls/server-ca.crt', (path) => writeFileSync(path, 'garbage'), /is damaged/],
  ['server/tls/server-ca.key', (path) => chmodSync(path, 0o644), /chmod 600/],
  ['server/tls/service.key', (path) => writeFileSync(path, ''), /is damaged/],
];

function fromTheFuture(path: string): void {
  const db = new Database(path);
  db.pragma('user_version = 99');
  db.close();
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
