/** Pods with the real engine and helper: what the container itself sees, and what is left when it is gone. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { BUSYBOX, makeEngineHost } from '../../harness/engine.ts';
import { type KubeHome, kubeHome } from '../../harness/kubectl.ts';
import { suite } from '../../harness/suite.ts';
import { startNodeWith } from './test-node.ts';

const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const shell = (script: string) => ({
  image: BUSYBOX,
  imagePullPolicy: 'IfNotPresent',
  command: ['/bin/sh', '-c', script],
});

suite('agent: pods with the real engine', ({ test, cleanup }) => {
  const start = async () => {
    const host = await makeEngineHost();
    cleanup(() => host.close());
    const { engine } = await host.begin();
    const node = await startNodeWith(engine, { cgroupRoot: host.cgroupParent });
    cleanup(() => node.close());
    cleanup(async () => {
      const pods = await node.client.list<Pod>('pods', { namespace: 'default' });
      for (const { metadata } of pods.items) {
        await node.client.remove(
          'pods',
          { namespace: 'default', name: metadata.name },
          { gracePeriodSeconds: 1 },
        );
      }
      for (const { metadata } of pods.items) await node.goneWhen(metadata.name);
    });
    const home: KubeHome = await kubeHome({ server: await node.listen() });
    cleanup(() => home.remove());
    return { host, node, home };
  };

  test('a container finds its volumes, files, environment and message file, and kubectl reaches it', async () => {
    const { node, home, host } = await start();
    const meta = { name: 'cm', namespace: 'default' };
    await node.client.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: meta,
      data: { key: 'v1' },
    } as never);
    const script = [
      'cat /cm/key; echo; cat /etc/hostname; grep -c web /etc/hosts; cat /etc/resolv.conf; cat /pod/labels; echo',
      'echo "$GREETING"; echo shared > /shared/file; ls -ld /shared | cut -c1-10; exec sleep 1000',
    ].join('; ');
    const pod = await node.createPod('web', {
      containers: [
        {
          ...shell(script),
          env: [{ name: 'GREETING', value: 'hello' }],
          volumeMounts: [
            { name: 'cm', mountPath: '/cm' },
            { name: 'shared', mountPath: '/shared' },
            { name: 'pod', mountPath: '/pod' },
          ],
        },
        {
          ...shell('sleep 1000'),
          volumeMounts: [{ name: 'shared', mountPath: '/data', subPath: 'sub/dir' }],
        },
      ],
      spec: {
        volumes: [
          { name: 'cm', configMap: { name: 'cm' } },
          { name: 'shared', emptyDir: {} },
          {
            name: 'pod',
            downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.name' } }] },
          },
        ],
      },
    });
    await node.podWhen('web', isRunning);
    const logs = await home.kubectl(['logs', 'web', '-c', 'c0']);
    assert.equal(
      logs.stdout.split('\n'),
      [
        'v1',
        'web',
        '1',
        'search default.svc.cluster.local svc.cluster.local cluster.local',
        'nameserver 10.43.0.10',
        'options ndots:5',
        'web',
        'hello',
        'drwxrwxrwx',
      ],
      logs.stderr,
    );
    const cat = await home.kubectl(['exec', 'web', '-c', 'c0', '--', 'cat', '/shared/file']);
    assert.is(cat.stdout, 'shared', cat.stderr);
    const failed = await home.kubectl(['exec', 'web', '-c', 'c1', '--', 'sh', '-c', 'exit 9']);
    assert.is(failed.exitCode, 9);
    const current = await node.client.get<Pod>('configmaps' as never, meta);
    await node.client.update('configmaps', { ...current, data: { key: 'v2' } } as never);
    const path = join(node.directory, 'run/pods', pod.metadata.uid, 'volumes/cm/key');
    for (let tries = 0; (await readFile(path, 'utf8')) !== 'v2'; tries += 1) {
      assert.ok(tries < 200, 'the volume keeps its old content');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const changed = await home.kubectl(['exec', 'web', '-c', 'c0', '--', 'cat', '/cm/key']);
    assert.is(changed.stdout, 'v2');
    const { uid } = pod.metadata;
    await node.client.remove(
      'pods',
      { namespace: 'default', name: 'web' },
      { gracePeriodSeconds: 1 },
    );
    await node.goneWhen('web');
    for (let tries = 0; existsSync(join(node.directory, 'data/pods', uid)); tries += 1) {
      assert.ok(tries < 100, 'its directory stays');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.not(
      existsSync(`/sys/fs/cgroup/memory${host.cgroupParent}/besteffort/pod${uid}`),
      'its cgroup stays',
    );
  });

  test('exit codes, messages and out-of-memory ends are told as they were', async () => {
    const { node } = await start();
    await node.createPod('ends', {
      spec: { restartPolicy: 'Never' },
      containers: [
        shell('echo because > /dev/termination-log; exit 42'),
        { ...shell('x=a; while true; do x=$x$x; done'), resources: { limits: { memory: '16Mi' } } },
        { ...shell('echo last words; exit 1'), terminationMessagePolicy: 'FallbackToLogsOnError' },
        { ...shell(''), command: ['/no/such/program'] },
      ],
    });
    const pod = await node.podWhen('ends', ({ status }) => status?.phase === 'Failed');
    const ends = (pod.status?.containerStatuses ?? []).map(({ state }) => state?.terminated);
    assert.is(ends[0]?.exitCode, 42);
    assert.is(ends[0]?.message, 'because\n');
    assert.is(ends[1]?.reason, 'OOMKilled');
    assert.is(ends[2]?.message, 'last words\n');
    assert.is(ends[3]?.reason, 'StartError');
    assert.match(ends[3]?.message ?? '', /no such file/i);
  });
});
