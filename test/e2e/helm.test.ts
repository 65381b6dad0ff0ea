/** helm against mini: a chart made on the fly is installed, upgraded, rolled back and removed; a release that fails. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { tools } from '../harness/kubectl.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;
const ENV = { KUBECONFIG: '/etc/mini/kubeconfig.yaml', HOME: '/tmp' };

const TEMPLATE = `apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }}-config }
data: { color: {{ .Values.color | quote }} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }} }
spec:
  replicas: {{ .Values.replicas }}
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata: { labels: { app: {{ .Release.Name }} } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - { name: c, image: {{ .Values.image | quote }}, command: [sleep, "1000"], env: [{ name: COLOR, value: {{ .Values.color | quote }} }] }
`;

/** Writes the chart where the host sees it. */
function writeChart(cluster: Cluster): string {
  const chart = join(cluster.one.dir, 'chart');
  mkdirSync(join(chart, 'templates'), { recursive: true });
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: demo\nversion: 0.1.0\n');
  writeFileSync(join(chart, 'values.yaml'), `replicas: 1\ncolor: red\nimage: ${BUSYBOX}\n`);
  writeFileSync(join(chart, 'templates', 'all.yaml'), TEMPLATE);
  return chart;
}

suite('e2e/helm', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'install, upgrade, rollback, history, uninstall; a failing release',
    async () => {
      const cluster = await shared.get();
      const { helm } = await tools();
      const chart = writeChart(cluster);
      const run = (...args: readonly string[]) => cluster.one.ok([helm, ...args], { env: ENV });
      const color = async () =>
        await cluster.kubectl('get', 'cm', 'app-config', '-o', 'jsonpath={.data.color}');
      const wait = ['--wait', '--timeout', '40s'];

      assert.match(await run('install', 'app', chart, ...wait), /STATUS: deployed/);
      assert.is(await color(), 'red');
      assert.match(await run('list'), /app\s+default\s+1\s.*deployed\s+demo-0\.1\.0/);
      await run('upgrade', 'app', chart, '--set', 'color=blue,replicas=2', ...wait);
      assert.is(await color(), 'blue');
      const replicas = 'jsonpath={.status.readyReplicas}';
      assert.is(await cluster.kubectl('get', 'deploy', 'app', '-o', replicas), '2');
      assert.match(await run('rollback', 'app', '1', ...wait), /Rollback was a success/);
      assert.is(await color(), 'red');
      assert.match(await run('history', 'app'), /\n3\s.*deployed\s.*Rollback to 1/);

      const failing = ['upgrade', 'app', chart, '--set', 'image=busybox:missing', '--wait'];
      const failed = await cluster.one.run([helm, ...failing, '--timeout', '3s'], { env: ENV });
      assert.is(failed.code, 1);
      assert.match(failed.stderr, /UPGRADE FAILED/);
      assert.match(await run('status', 'app'), /STATUS: failed/);
      const broken = await cluster.one.run(
        [helm, 'install', 'broken', chart, '--set', 'replicas=-1'],
        { env: ENV },
      );
      assert.match(broken.stderr, /spec\.replicas: Invalid value: -1/);
      await run('uninstall', 'broken');
      assert.match(await run('uninstall', 'app', ...wait), /release "app" uninstalled/);
      assert.is(
        await cluster.kubectl('get', 'deploy,cm', '-o', 'name'),
        'configmap/kube-root-ca.crt\n',
      );
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
