/** Pods whose images cannot be had: a full disk, a damaged layer. Real registry, image store, engine and helper. */

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { makeEngineHost } from '../../harness/engine.ts';
import { type BuiltImage, buildImage, digest } from '../../harness/images.ts';
import { push, startProxy, startRegistry } from '../../harness/registry.ts';
import { suite } from '../../harness/suite.ts';
import { startNodeWith, type TestNode } from './test-node.ts';

const DISK = 'size=12m';
const TOO_MUCH = Buffer.alloc(16 * 2 ** 20, 1);

const waiting = ({ status }: Pod) => status?.containerStatuses?.[0]?.state?.waiting;
const messageOf = (pod: Pod) => waiting(pod)?.message ?? '';

suite('agent: images that cannot be had', ({ test, cleanup }) => {
  const start = async () => {
    const host = await makeEngineHost();
    cleanup(() => host.close());
    mkdirSync(host.dataDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', DISK, 'mini-test', host.dataDir]);
    cleanup(() => void execFileSync('umount', [host.dataDir]));
    const life = await host.begin();
    cleanup(() => life.end());
    const node = await startNodeWith(life.engine, { cgroupRoot: host.cgroupParent });
    cleanup(() => node.close());
    const { host: registry, close } = await startRegistry();
    cleanup(close);
    const publish = async (repository: string, image: BuiltImage) => {
      await push(image, { host: registry, repository, tag: '1' });
      return `${registry}/${repository}:1`;
    };
    const fails = async (name: string, image: string) => {
      await node.createPod(name, { containers: [{ image, command: ['/bin/none'] }] });
      return node.podWhen(name, (pod) => waiting(pod)?.reason === 'ErrImagePull');
    };
    const remove = async (...names: readonly string[]) => {
      for (const name of names) {
        await node.client.remove('pods', { namespace: 'default', name }, { gracePeriodSeconds: 0 });
        await node.goneWhen(name);
      }
    };
    return { host, node, life, registry, publish, fails, remove };
  };
  const image = (content: Buffer | string, compression: 'gzip' | 'none') =>
    buildImage({ tag: 'unused', layers: [[{ name: 'file', content }]], compression });

  test('a full disk is told, nothing is left of the attempt, and what was there stays', async () => {
    const { host, node, life, publish, fails, remove } = await start();
    const before = life.images.list();
    const stored = async () => [
      ...(await readdir(join(host.dataDir, 'images/layers'))),
      ...(await readdir(join(host.dataDir, 'images/ingest'))),
    ];
    const layers = await stored();
    // The first is too large as a blob, the second only once it is unpacked.
    for (const [name, compression] of [
      ['blob', 'none'],
      ['layer', 'gzip'],
    ] as const) {
      const reference = await publish(name, await image(TOO_MUCH, compression));
      const pod = await fails(name, reference);
      assert.match(messageOf(pod), /no space left on the disk/);
      assert.equal(await stored(), layers, name);
    }
    assert.equal(life.images.list(), before);
    const small = await life.images.pull(await publish('small', await image('fits', 'gzip')));
    assert.equal(
      life.images
        .list()
        .map(({ id }) => id)
        .sort(),
      [...before.map(({ id }) => id), small.id].sort(),
    );
    const pod = await node.podWhen('blob', (one) => waiting(one)?.reason === 'ImagePullBackOff');
    assert.match(messageOf(pod), /^Back-off pulling image ".*\/blob:1": ErrImagePull: .*no space/);
    await tellsAsKubernetes(node, 'blob');
    await remove('blob', 'layer');
  }, 30_000);

  test('a damaged layer is told', async () => {
    const { node, life, registry, publish, fails, remove } = await start();
    const good = await image('content', 'gzip');
    await publish('damaged', good);
    const layer = good.layers[0]?.packed ?? Buffer.alloc(0);
    const evil = await startProxy(registry, (request, response) => {
      if (!request.url?.includes(digest(layer))) return false;
      response.end(Buffer.alloc(layer.length, 7));
      return true;
    });
    cleanup(() => evil.close());
    const pod = await fails('damaged', `${evil.host}/damaged:1`);
    assert.match(messageOf(pod), /damaged/);
    assert.is(life.images.get(`${evil.host}/damaged:1`), undefined);
    assert.is(node.engine.listContainers().length, 0);
    await remove('damaged');
  });
});

/** The events of a failed pull, as kubectl describe shows them. */
async function tellsAsKubernetes(node: Pick<TestNode, 'events'>, name: string): Promise<void> {
  const wanted = [
    /^Pulling: Pulling image ".*\/blob:1"$/,
    /^Failed: Failed to pull image ".*\/blob:1": .*no space left/,
    /^Failed: Error: ErrImagePull$/,
    /^BackOff: Back-off pulling image ".*\/blob:1"$/,
    /^Failed: Error: ImagePullBackOff$/,
  ];
  let texts: readonly string[] = [];
  for (let tries = 0; tries < 100; tries += 1) {
    texts = (await node.events(name)).map(({ reason, message }) => `${reason}: ${message}`);
    if (wanted.every((pattern) => texts.some((text) => pattern.test(text)))) return;
    await new Promise((next) => setTimeout(next, 20));
  }
  throw new Error(texts.join('\n'));
}
