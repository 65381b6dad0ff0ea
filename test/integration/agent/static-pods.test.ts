/** Static pods: manifest files, their pods, and the mirrors in the API. Containers by a fake engine. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Event, Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { NODE, startTestNode } from './test-node.ts';

const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const NAME = `web-${NODE}`;
const HASH = 'kubernetes.io/config.hash';
const MIRROR = 'kubernetes.io/config.mirror';

function manifest(more = '', image = 'known:1'): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  containers: [{ name: c, image: "${image}" }]
${more}`;
}

suite('agent: static pods', ({ test, cleanup }) => {
  const start = async () => {
    const node = await startTestNode();
    cleanup(() => node.close());
    await node.agent().synced;
    const directory = join(node.directory, 'data/agent/pod-manifests');
    /** As editors do: the file is whole when it has its name. */
    const write = async (name: string, text: string) => {
      await writeFile(join(directory, `.${name}`), text);
      await rename(join(directory, `.${name}`), join(directory, name));
    };
    const told = async (message: RegExp) => {
      for (let tries = 0; tries < 400; tries += 1) {
        const { items } = await node.client.list<Event>('events', { namespace: 'default' });
        const found = items.find((event) => message.test(event.message ?? ''));
        if (found) return found;
        await new Promise((next) => setTimeout(next, 20));
      }
      throw new Error(`no event ${message}`);
    };
    return { ...node, directory, write, told };
  };

  test('a file is a pod with a mirror, a changed file another, and with the file both go', async () => {
    const node = await start();
    await node.write('web.yaml', manifest('  terminationGracePeriodSeconds: 7\n'));
    const first = await node.podWhen(NAME, isRunning);
    const { annotations = {}, ownerReferences = [], labels } = first.metadata;
    assert.is(annotations['kubernetes.io/config.source'], 'file');
    assert.is(annotations[MIRROR], annotations[HASH]);
    assert.is.not(annotations[HASH], first.metadata.uid);
    assert.ok(Date.parse(annotations['kubernetes.io/config.seen'] ?? '') > 0);
    assert.equal(labels, { app: 'web' });
    assert.equal(
      ownerReferences.map(({ kind, name, controller }) => [kind, name, controller]),
      [['Node', NODE, true]],
    );
    assert.is(first.spec.nodeName, NODE);
    assert.ok(
      first.spec.tolerations?.some(
        ({ operator, effect, key }) => operator === 'Exists' && effect === 'NoExecute' && !key,
      ),
    );
    const [container] = node.engine.listContainers();
    assert.is(container?.labels['io.kubernetes.pod.uid'], annotations[HASH]);

    await node.write('web.yaml', manifest('  hostname: other\n'));
    const second = await node.podWhen(
      NAME,
      (pod) => isRunning(pod) && pod.spec.hostname === 'other',
    );
    assert.is.not(second.metadata.annotations?.[HASH], annotations[HASH]);
    assert.equal(
      node.engine.stops.map(({ graceMs }) => graceMs),
      [7000],
    );
    assert.is(node.engine.listContainers().length, 1);

    await rm(join(node.directory, 'web.yaml'));
    await node.goneWhen(NAME);
    assert.equal(node.engine.listSandboxes(), []);
  });

  test('a mirror that is deleted is made again, and the pod goes on, as it does over a restart', async () => {
    const node = await start();
    await node.write('web.yaml', manifest());
    const before = await node.podWhen(NAME, isRunning);
    await node.client.remove('pods', { namespace: 'default', name: NAME });
    const after = await node.podWhen(
      NAME,
      (pod) => isRunning(pod) && pod.metadata.uid !== before.metadata.uid,
    );
    const id = ({ status }: Pod) => status?.containerStatuses?.[0]?.containerID;
    assert.is(id(after), id(before));
    node.engine.exit(id(after)?.replace('mini://', '') ?? '', 1);
    const count = ({ status }: Pod) => status?.containerStatuses?.[0]?.restartCount;
    await node.podWhen(NAME, (pod) => isRunning(pod) && count(pod) === 1);
    await node.restart();
    const last = await node.podWhen(NAME, isRunning);
    assert.is(count(last), 1);
    assert.is(last.metadata.uid, after.metadata.uid);
    assert.is(node.engine.listContainers().filter(({ status }) => status === 'running').length, 1);
  });

  test('a file that cannot be used is told of once, and its last good version goes on', async () => {
    const node = await start();
    await node.write('web.yaml', manifest());
    const pod = await node.podWhen(NAME, isRunning);
    await node.write('web.yaml', manifest('  hostname: [\n'));
    const broken = await node.told(/Cannot use the manifest .*web\.yaml: .*last good version/s);
    assert.is(broken.reason, 'InvalidStaticPod');
    assert.equal([broken.involvedObject.kind, broken.involvedObject.name], ['Node', NODE]);
    await node.write('b.yaml', manifest('  containres: []\n'));
    await node.told(/b\.yaml: .*unknown field "spec\.containres"/);
    await node.write('c.yaml', manifest('  serviceAccountName: me\n'));
    await node.told(
      /c\.yaml: a static pod may not refer to objects of the API: spec\.serviceAccountName/,
    );
    await node.write('d.yaml', manifest('', ''));
    await node.told(/d\.yaml: spec\.containers\[0\]\.image: Required value/);
    await mkdir(join(node.directory, 'folder'));
    await node.write('e.yaml', manifest());
    await node.told(/e\.yaml: another file has pod default\/web-node-1 already/);
    const still = await node.podWhen(NAME, isRunning);
    assert.is(still.metadata.uid, pod.metadata.uid);
    await node.write('web.yaml', manifest('  hostname: fixed\n'));
    await node.podWhen(NAME, (one) => isRunning(one) && one.spec.hostname === 'fixed');
  });

  test('the directory may go and come back', async () => {
    const node = await start();
    await node.write('web.yaml', manifest());
    await node.podWhen(NAME, isRunning);
    await rm(node.directory, { recursive: true });
    await node.goneWhen(NAME);
    await node.write('web.yaml', manifest());
    await node.podWhen(NAME, isRunning);
  });
});
