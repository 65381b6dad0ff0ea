/** What the engine finds after crashes of itself, of its helper and of the host, and what it does about it. */

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, exited, makeEngineHost, shell } from '../harness/engine.ts';
import { suite } from '../harness/suite.ts';

suite('engine recovery', ({ test, cleanup }) => {
  async function start() {
    const host = await makeEngineHost();
    cleanup(() => host.close());
    const life = await host.begin();
    const sandbox = { labels: {}, hostname: 'h', isHostNetwork: false, isHostIpc: false };
    await life.engine.createSandbox({ id: 's1', ...sandbox });
    const sleeper = (id: string) => shell(host, 'sleep 1000', { id, sandboxId: 's1' });
    return { host, life, engine: life.engine, sleeper, sandbox };
  }

  test('a restart of the host: containers have exited with 255, sandboxes are not ready, all can be removed', async () => {
    const { host, life, engine, sleeper } = await start();
    await engine.createContainer(sleeper('c1'));
    await engine.createContainer(sleeper('c2'));
    await engine.startContainer('c1');
    // What a power cut does: everything that runs is gone, and so is /run.
    await life.runtime.delete('c1', { isForced: true });
    await life.runtime.deleteSandbox('s1');
    await life.end();
    await rm(host.runDir, { recursive: true, force: true });
    const { engine: next } = await host.begin();
    assert.is(next.getContainer('c1')?.status, 'exited');
    assert.is(next.getContainer('c2')?.status, 'created');
    assert.equal(
      next.listSandboxes().map(({ id, isReady, ip }) => ({ id, isReady, ip })),
      [{ id: 's1', isReady: false, ip: '10.98.0.2' }],
    );
    await next.removeSandbox('s1');
    assert.equal(next.listContainers(), []);
    assert.equal(readdirSync(join(host.dataDir, 'sandboxes')), []);
  });

  test('drops half-made records, and containers and sandboxes that nobody knows', async () => {
    const { host, life, engine, sleeper, sandbox } = await start();
    await engine.createContainer(sleeper('c1'));
    const { pid } = await engine.startContainer('c1');
    await engine.createSandbox({ id: 's2', ...sandbox });
    await life.end();
    await mkdir(join(host.dataDir, 'containers/half/upper'), { recursive: true });
    await mkdir(join(host.dataDir, 'containers/torn'));
    await writeFile(join(host.dataDir, 'containers/torn/container.json'), '{"conf');
    await rm(join(host.dataDir, 'containers/c1'), { recursive: true });
    await rm(join(host.dataDir, 'sandboxes/s2'), { recursive: true });
    const { engine: next, runtime, network } = await host.begin();
    assert.equal(next.listContainers(), []);
    assert.equal(readdirSync(join(host.dataDir, 'containers')), []);
    assert.ok(!existsSync(`/proc/${pid}`));
    assert.equal(
      (await runtime.listSandboxes()).map(({ id }) => id),
      ['s1'],
    );
    assert.is(network.addressOf('s2'), undefined);
    assert.is(network.addressOf('s1'), '10.98.0.2');
  });

  test('a start that was cut off before anything ran can be made again, one that ran is not', async () => {
    const { host, life, engine, sleeper } = await start();
    for (const id of ['c1', 'c2']) await engine.createContainer(sleeper(id));
    await engine.startContainer('c2');
    await life.end();
    // Its agent was killed as it asked for the start, and the request came to nothing.
    const path = join(host.dataDir, 'containers/c1/container.json');
    const record = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(
      path,
      JSON.stringify({ ...record, isStarted: true, runId: life.runtime.runId }),
    );
    const next = await host.begin();
    assert.is(next.engine.getContainer('c1')?.status, 'created');
    assert.is((await next.engine.startContainer('c1')).status, 'running');
    const { pid } = (await next.runtime.state('c2')) ?? {};
    assert.is((await next.engine.startContainer('c2')).pid, pid);
  });

  test('what ends while an engine starts is told', async () => {
    const { host, life, engine } = await start();
    const ids = Array.from({ length: 8 }, (_, at) => `c${at}`);
    for (const [at, id] of ids.entries()) {
      const script = `while [ ! -e /gate/open ]; do sleep 0.01; done; sleep 0.${at}; exit ${at}`;
      const mounts = [{ source: host.directory, destination: '/gate', isReadOnly: true }];
      await engine.createContainer(shell(host, script, { id, sandboxId: 's1', mounts }));
      await engine.startContainer(id);
    }
    await life.end();
    await writeFile(join(host.directory, 'open'), '');
    const { engine: next } = await host.begin();
    const codes = await Promise.all(ids.map(async (id) => (await exited(next, id)).exit?.exitCode));
    assert.equal(codes, [...codes.keys()]);
  });

  test('a sandbox whose processes have lost their first is not ready any more', async () => {
    const { host, life, engine, sandbox } = await start();
    await engine.createSandbox({ id: 's2', ...sandbox, sharesProcesses: true });
    for (const id of ['c1', 'c2'])
      await engine.createContainer(shell(host, 'sleep 1000', { id, sandboxId: 's2' }));
    await engine.startContainer('c1');
    await engine.killContainer('c1', 'SIGKILL');
    await exited(engine, 'c1');
    assert.is(engine.getSandbox('s2')?.isReady, true);
    await engine.startContainer('c2');
    const [reaper] = (await readFile(join(host.runDir, 'sandboxes/s2/reaper'), 'utf8')).split(' ');
    process.kill(Number(reaper), 'SIGKILL');
    assert.is((await exited(engine, 'c2')).exit?.exitCode, 137);
    assert.is(engine.getSandbox('s2')?.isReady, false);
    await engine.removeSandbox('s2');
    await engine.createSandbox({ id: 's2', ...sandbox, sharesProcesses: true });
    assert.is(life.engine.getSandbox('s2')?.isReady, true);
  });

  test('an image that was removed goes with its last container, also over a restart', async () => {
    const { host, life, engine, sleeper } = await start();
    await engine.createContainer(sleeper('c1'));
    const layers = join(host.dataDir, 'images/layers');
    const before = readdirSync(layers).length;
    await life.images.remove(BUSYBOX);
    await engine.startContainer('c1');
    assert.is(readdirSync(layers).length, before);
    await life.end();
    // The image comes back under the same id; its layers are those that the container runs from.
    const { engine: next, images } = await host.begin();
    await images.remove(BUSYBOX);
    assert.is(next.getContainer('c1')?.status, 'running');
    assert.is(readdirSync(layers).length, before);
    await next.removeSandbox('s1');
    await images.collect();
    assert.equal(readdirSync(layers), ['empty']);
  });

  test('goes on when somebody removes the bridge', async () => {
    const { host, engine, sandbox } = await start();
    host.inNetns('ip', 'link', 'del', 'mini0');
    const { ip } = await engine.createSandbox({ id: 's2', ...sandbox });
    assert.is(ip, '10.98.0.3');
    assert.match(host.inNetns('ip', '-o', 'link'), 'master mini0');
  });

  test('keeps log lines and exit codes of many short containers', async () => {
    const { host, engine } = await start();
    const codes = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const id = `c${at}`;
        await engine.createContainer(
          shell(host, `echo ${at}; exit ${at}`, { id, sandboxId: 's1' }),
        );
        await engine.startContainer(id);
        const { exit, logPath } = await exited(engine, id);
        assert.match(await readFile(logPath ?? '', 'utf8'), new RegExp(` stdout F ${at}\n$`));
        return exit?.exitCode;
      }),
    );
    assert.equal(codes, [...codes.keys()]);
  });
});
