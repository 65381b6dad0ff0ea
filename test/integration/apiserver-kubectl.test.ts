/** Real kubectl and helm against the server: what they say and how they exit. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { startApiServer } from '../harness/api-server.ts';
import { type KubeHome, kubeHome, tools } from '../harness/kubectl.ts';
import { suite } from '../harness/suite.ts';

/** Each run of kubectl is a new process with its own discovery. */
const TIMEOUT_MS = 60_000;
const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x}]}
`;

async function succeeds(kube: KubeHome, line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await kube.kubectl(line.split(' '));
  assert.is(exitCode, 0, `kubectl ${line}: ${stderr}`);
  return stdout;
}

async function fails(kube: KubeHome, line: string): Promise<string> {
  const { exitCode, stderr } = await kube.kubectl(line.split(' '));
  assert.is(exitCode, 1, `kubectl ${line}`);
  return stderr;
}

// The first run on a checkout unpacks them, which no test's time limit is to count.
await tools();

suite('kubectl against the API server', ({ test, cleanup }) => {
  const start = async () => {
    const server = await startApiServer();
    cleanup(server.close);
    const { port } = await server.server.listen({ host: '127.0.0.1', port: 0 });
    const kube = await kubeHome({ server: `http://127.0.0.1:${port}` });
    cleanup(kube.remove);
    return { ...server, kube };
  };
  const file = (kube: KubeHome, text: string) => {
    const path = join(kube.directory, 'object.yaml');
    writeFileSync(path, text);
    return path;
  };

  test(
    'discovers, creates with protobuf bodies, gets and deletes',
    async () => {
      const { kube } = await start();
      assert.match(
        await succeeds(kube, 'api-resources'),
        /^deployments +deploy +apps\/v1 +true +Deployment$/m,
      );
      await succeeds(kube, 'create configmap a --from-literal=x=1');
      await succeeds(kube, 'create deployment d --image=busybox --replicas=2');
      await succeeds(kube, 'create secret generic s --from-literal=k=v');
      assert.is(await succeeds(kube, 'get configmap a -o jsonpath={.data.x}'), '1');
      assert.is(await succeeds(kube, 'get secret s -o jsonpath={.data.k}'), 'dg==');
      assert.match(
        await succeeds(kube, 'get deployments'),
        /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nd +0\/2 +0 +0 /,
      );
      await succeeds(kube, 'delete deployment d');
      assert.match(
        await fails(kube, 'get deployment d'),
        /\(NotFound\): deployments\.apps "d" not found/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'applies from both sides, diffs, patches, scales and labels',
    async () => {
      const { kube } = await start();
      const path = file(kube, DEPLOYMENT);
      assert.is(await succeeds(kube, `apply -f ${path}`), 'deployment.apps/web created');
      assert.is(await succeeds(kube, `apply -f ${path}`), 'deployment.apps/web unchanged');
      file(kube, DEPLOYMENT.replace('replicas: 1', 'replicas: 2'));
      assert.is((await kube.kubectl(['diff', '-f', path])).exitCode, 1);
      assert.is(
        await succeeds(kube, `apply --server-side --force-conflicts -f ${path}`),
        'deployment.apps/web serverside-applied',
      );
      await succeeds(kube, 'set image deployment/web c=y');
      await succeeds(kube, 'label deployment web tier=front');
      await succeeds(kube, 'scale deployment web --replicas=5');
      const answer = await succeeds(
        kube,
        'get deployment web -o jsonpath={.spec.replicas},{..image},{.metadata.labels.tier}',
      );
      assert.is(answer, '5,y,front');
      file(kube, DEPLOYMENT.replace('replicas:', 'repliccas:'));
      assert.match(await fails(kube, `apply -f ${path}`), /unknown field "spec\.repliccas"/);
    },
    TIMEOUT_MS,
  );

  test(
    'applies a list, which kubectl checks against the OpenAPI of version 2',
    async () => {
      const { kube } = await start();
      const item = (name: string, extra: object) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name },
        ...extra,
      });
      const list = (...items: object[]) =>
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      const path = file(kube, list(item('a', { data: { k: 'v' } }), item('b', {})));
      assert.is(
        await succeeds(kube, `apply -f ${path}`),
        'configmap/a created\nconfigmap/b created',
      );
      file(kube, list(item('c', { deta: { k: 'v' } })));
      assert.match(await fails(kube, `apply -f ${path}`), /unknown field "deta"/);
    },
    TIMEOUT_MS,
  );

  test(
    'explains, waits and reports a pod without a node',
    async () => {
      const { kube } = await start();
      assert.match(
        await succeeds(kube, 'explain deployment.spec.replicas'),
        /FIELD: replicas <integer>/,
      );
      await succeeds(kube, 'run p --image=busybox --restart=Never');
      await succeeds(kube, 'wait --for=jsonpath={.status.phase}=Pending pod/p --timeout=5s');
      assert.match(await fails(kube, 'exec p -- ls'), /pod p does not have a host assigned/);
      assert.match(await succeeds(kube, 'describe pod p'), /^Status: +Pending$/m);
      await succeeds(kube, 'delete pod p');
    },
    TIMEOUT_MS,
  );

  test(
    'installs, upgrades, rolls back and removes a helm release',
    async () => {
      const { kube } = await start();
      const chart = join(kube.directory, 'chart');
      mkdirSync(join(chart, 'templates'), { recursive: true });
      writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: chart\nversion: 0.1.0\n');
      writeFileSync(join(chart, 'values.yaml'), 'value: "1"\n');
      writeFileSync(
        join(chart, 'templates/map.yaml'),
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {value: "{{ .Values.value }}"}\n',
      );
      const value = () => succeeds(kube, 'get configmap m -o jsonpath={.data.value}');
      const steps = [
        ['install r chart', '1'],
        ['upgrade r chart --set value=2', '2'],
        ['rollback r 1', '1'],
      ] as const;
      for (const [line, expected] of steps) {
        const { exitCode, stderr } = await kube.helm(line.split(' '));
        assert.is(exitCode, 0, `helm ${line}: ${stderr}`);
        assert.is(await value(), expected);
      }
      assert.is((await kube.helm(['uninstall', 'r'])).exitCode, 0);
      assert.match(await fails(kube, 'get configmap m'), /not found/);
    },
    TIMEOUT_MS,
  );
});
