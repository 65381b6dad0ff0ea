/** Deployments as kubectl users drive them: create, scale, rolling updates without a gap, undo, pause, restart, delete. */

import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 150_000;
/** Pods that end by themselves may take their 30 seconds. */
const ENDING_MS = 60_000;
const NEXT = 'docker.io/library/busybox:1.36';
const WAIT = '--timeout=60s';

interface PodSeen {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

interface Shape {
  readonly replicas: number;
  /** Ready a second after its start, and not one pod may be missing during an update. */
  readonly isCareful?: boolean;
}

function deployment(name: string, { replicas, isCareful = false }: Shape) {
  const slow = 'sleep 1; touch /tmp/ready; exec sleep 1000';
  const readinessProbe = { exec: { command: ['cat', '/tmp/ready'] }, periodSeconds: 1 };
  const container = {
    name: 'c',
    image: BUSYBOX,
    command: ['sh', '-c', isCareful ? slow : 'exec sleep 1000'],
    ...(isCareful ? { readinessProbe } : {}),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      ...(isCareful ? { strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } } : {}),
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 0, containers: [container] },
      },
    },
  };
}

async function field(cluster: Cluster, what: string, path: string): Promise<string> {
  return await cluster.kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
}

function podNames(cluster: Cluster, app: string): Promise<string> {
  return field(cluster, `pods -l app=${app}`, '.items[*].metadata.name');
}

/** Counts the ready pods through a watch; `least()` is the lowest number since all were there. */
function countReady(cluster: Cluster, app: string, all: number) {
  const watch = cluster.startKubectl(
    'get',
    'pods',
    '-l',
    `app=${app}`,
    '-w',
    '-o',
    'json',
    '--output-watch-events',
  );
  const ready = new Set<string>();
  let least = Number.POSITIVE_INFINITY;
  let isComplete = false;
  const take = (event: { readonly type: string; readonly object: PodSeen }) => {
    const { name } = event.object.metadata;
    const conditions = event.object.status?.conditions ?? [];
    const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (isReady && event.type !== 'DELETED') ready.add(name);
    else ready.delete(name);
    isComplete ||= ready.size >= all;
    if (isComplete) least = Math.min(least, ready.size);
  };
  if (!watch.child.stdout) throw new Error('kubectl has no output');
  createInterface({ input: watch.child.stdout }).on('line', (line) => take(JSON.parse(line)));
  return { isComplete: () => isComplete, least: () => least, stop: () => watch.kill('SIGKILL') };
}

suite('e2e/kubectl-workloads', ({ test, cleanup }) => {
  const shared = new SharedCluster(async () => {
    const cluster = await clusterOf(2);
    await cluster.importBusybox(NEXT);
    return cluster;
  });

  test(
    'create, describe, replace a deleted pod, scale down to 0 and up',
    async () => {
      const cluster = await shared.get();
      const made = await cluster.kubectl(
        'create',
        'deployment',
        'hello',
        `--image=${BUSYBOX}`,
        '--replicas=3',
        '--',
        'sleep',
        '1000',
      );
      assert.is(made, 'deployment.apps/hello created\n');
      const status = await cluster.kubectl('rollout', 'status', 'deploy/hello', WAIT);
      assert.match(status, /deployment "hello" successfully rolled out/);
      assert.match(
        await cluster.kubectl('get', 'deploy', 'hello', '--no-headers'),
        /^hello +3\/3 +3 +3 +\d+s\n$/,
      );
      const described = await cluster.kubectl('describe', 'deploy', 'hello');
      assert.match(described, /3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable/);
      assert.match(described, /ScalingReplicaSet .* Scaled up replica set hello-\w+ from 0 to 3/);
      const nodes = new Set(
        (await field(cluster, 'pods -l app=hello', '.items[*].spec.nodeName')).split(' '),
      );
      assert.equal([...nodes].sort(), ['one', 'two']);

      const before = (await podNames(cluster, 'hello')).split(' ');
      await cluster.kubectl('delete', 'pod', before[0] ?? '', '--grace-period=1');
      await cluster.until('its replacement', async () => {
        const names = (await podNames(cluster, 'hello')).split(' ');
        return names.length === 3 && !names.includes(before[0] ?? '');
      });
      await cluster.refused(
        /Expected replicas to be 9, was 3/,
        'scale',
        'deploy/hello',
        '--replicas=2',
        '--current-replicas=9',
      );
      await cluster.refused(/"nope" not found/, 'scale', 'deploy/nope', '--replicas=1');
      const noPods = () =>
        cluster.until('no pods', async () => (await podNames(cluster, 'hello')) === '', ENDING_MS);
      // Those made from now on; earlier ones may take their 30 seconds.
      await cluster.kubectl(
        'patch',
        'deploy',
        'hello',
        '-p',
        '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}',
      );
      await cluster.kubectl('rollout', 'status', 'deploy/hello', WAIT);
      await cluster.kubectl('scale', 'deploy/hello', '--replicas=0');
      await noPods();
      await cluster.kubectl('scale', 'deploy/hello', '--replicas=20');
      await cluster.kubectl('rollout', 'status', 'deploy/hello', WAIT);
      assert.is((await podNames(cluster, 'hello')).split(' ').length, 20);
      await cluster.kubectl('delete', 'deploy', 'hello');
      await noPods();
      assert.is(await cluster.kubectl('get', 'rs', '-o', 'name'), '');
    },
    TIMEOUT_MS,
  );

  test(
    'set image and undo roll over without a moment below the allowed availability',
    async () => {
      const cluster = await shared.get();
      await cluster.apply(deployment('careful', { replicas: 3, isCareful: true }));
      await cluster.kubectl('rollout', 'status', 'deploy/careful', WAIT);
      const count = countReady(cluster, 'careful', 3);
      cleanup(() => count.stop());
      await cluster.until('the watch', async () => count.isComplete());
      const rolled = async (image: string) => {
        await cluster.kubectl('rollout', 'status', 'deploy/careful', WAIT);
        const images = await field(
          cluster,
          'pods -l app=careful --field-selector=status.phase=Running',
          '.items[*].spec.containers[0].image',
        );
        assert.ok(images.split(' ').includes(image), images);
        assert.is(count.least(), 3);
      };
      assert.is(
        await cluster.kubectl('set', 'image', 'deploy/careful', `c=${NEXT}`),
        'deployment.apps/careful image updated\n',
      );
      await rolled(NEXT);
      await cluster.kubectl('rollout', 'undo', 'deploy/careful');
      await rolled(BUSYBOX);

      // An image that nobody has: the old pods stay, the reason is told, undo mends it.
      await cluster.kubectl('set', 'image', 'deploy/careful', 'c=busybox:missing');
      await cluster.until('the failure to be told', async () =>
        /ErrImagePull|ImagePullBackOff/.test(
          await cluster.kubectl('get', 'pods', '-l', 'app=careful'),
        ),
      );
      const timeout = /timed out waiting for the condition/;
      await cluster.refused(timeout, 'rollout', 'status', 'deploy/careful', '--timeout=1s');
      assert.match(
        await cluster.kubectl('get', 'events', '--field-selector=type=Warning'),
        /Failed to pull image "busybox:missing"/,
      );
      await cluster.kubectl('rollout', 'undo', 'deploy/careful');
      await rolled(BUSYBOX);
      await count.stop();
      await cluster.kubectl('delete', 'deploy', 'careful');
    },
    TIMEOUT_MS,
  );

  test(
    'history, undo to a revision, pause, resume, restart, set env and resources',
    async () => {
      const cluster = await shared.get();
      await cluster.apply(deployment('quick', { replicas: 2 }));
      const rolled = () => cluster.kubectl('rollout', 'status', 'deploy/quick', WAIT);
      await rolled();
      await cluster.kubectl('set', 'env', 'deploy/quick', 'COLOR=red');
      await rolled();
      await cluster.kubectl('annotate', 'deploy', 'quick', 'kubernetes.io/change-cause=in red');
      const history = await cluster.kubectl('rollout', 'history', 'deploy/quick');
      assert.match(history, /REVISION +CHANGE-CAUSE\n(\d+ +.*\n)*\d+ +in red\n/);
      const last = /(\d+) +in red/.exec(history)?.[1] ?? '';
      assert.match(
        await cluster.kubectl('rollout', 'history', 'deploy/quick', `--revision=${last}`),
        /Image:\s+docker.io\/library\/busybox:1\.35/,
      );
      await cluster.refused(
        /unable to find specified revision 77 in history/,
        'rollout',
        'undo',
        'deploy/quick',
        '--to-revision=77',
      );

      await cluster.kubectl('rollout', 'pause', 'deploy/quick');
      await cluster.kubectl('set', 'image', 'deploy/quick', `c=${NEXT}`);
      await cluster.kubectl('set', 'env', 'deploy/quick', 'COLOR=blue');
      await cluster.kubectl('set', 'resources', 'deploy/quick', '--limits=memory=64Mi');
      await cluster.refused(/already paused/, 'rollout', 'pause', 'deploy/quick');
      await cluster.refused(
        /cannot rollback a paused deployment/,
        'rollout',
        'undo',
        'deploy/quick',
      );
      await cluster.until(
        'the pause to be seen',
        async () => (await field(cluster, 'deploy quick', '.status.updatedReplicas')) === '',
      );
      const pods = await podNames(cluster, 'quick');
      await cluster.kubectl('rollout', 'resume', 'deploy/quick');
      await rolled();
      const [pod = ''] = (await podNames(cluster, 'quick')).split(' ');
      assert.not(pods.includes(pod));
      const container = await field(cluster, `pod ${pod}`, '.spec.containers[0]');
      assert.match(container, /"env":\[\{"name":"COLOR","value":"blue"\}\]/);
      assert.match(container, /"limits":\{"memory":"64Mi"\}/);
      await cluster.refused(
        /unable to find container named "nope"/,
        'set',
        'image',
        'deploy/quick',
        'nope=x',
      );

      await cluster.kubectl('rollout', 'undo', 'deploy/quick', `--to-revision=${last}`);
      await rolled();
      assert.is(
        await field(cluster, 'deploy quick', '.spec.template.spec.containers[0].image'),
        BUSYBOX,
      );
      const sets = (await field(cluster, 'rs -l app=quick', '.items[*].metadata.name')).split(
        ' ',
      ).length;
      await cluster.kubectl('rollout', 'restart', 'deploy/quick');
      await rolled();
      assert.is(
        (await field(cluster, 'rs -l app=quick', '.items[*].metadata.name')).split(' ').length,
        sets + 1,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'delete with orphan, foreground and background',
    async () => {
      const cluster = await shared.get();
      const uids = () =>
        field(
          cluster,
          'pods -l app=quick --field-selector=status.phase=Running',
          '.items[*].metadata.uid',
        );
      await cluster.until(
        'the old pods to end',
        async () => (await podNames(cluster, 'quick')).split(' ').length === 2,
      );
      const before = await uids();
      await cluster.kubectl('delete', 'deploy', 'quick', '--cascade=orphan');
      await cluster.refused(/NotFound/, 'get', 'deploy', 'quick');
      assert.is(await uids(), before);
      // Who creates it again takes over what is there.
      await cluster.apply(deployment('quick', { replicas: 2 }));
      await cluster.kubectl('rollout', 'status', 'deploy/quick', WAIT);
      await cluster.kubectl('delete', 'deploy', 'quick', '--cascade=foreground', '--timeout=30s');
      assert.is(await podNames(cluster, 'quick'), '');
      assert.is(await cluster.kubectl('get', 'rs', '-l', 'app=quick', '-o', 'name'), '');
      await cluster.apply(deployment('quick', { replicas: 2 }));
      await cluster.kubectl('rollout', 'status', 'deploy/quick', WAIT);
      await cluster.kubectl('delete', 'deploy', 'quick', '--cascade=background');
      await cluster.until(
        'nothing of it',
        async () => (await cluster.kubectl('get', 'all', '-l', 'app=quick', '-o', 'name')) === '',
      );
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
