/** What nodes measure and tell: kubectl top, metrics.k8s.io, and the node's own API through the API server. */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 90_000;

/** A container that spins at a fifth of a core, one that sleeps and is probed, and a volume with 3 MiB in it. */
const BUSY = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'busy', labels: { app: 'busy' } },
  spec: {
    nodeName: 'two',
    terminationGracePeriodSeconds: 0,
    volumes: [{ name: 'd', emptyDir: {} }],
    containers: [
      {
        name: 'spin',
        image: BUSYBOX,
        command: [
          'sh',
          '-c',
          'dd if=/dev/zero of=/d/x bs=1M count=3 2>/dev/null; echo spun; while :; do :; done',
        ],
        resources: { limits: { cpu: '200m', memory: '64Mi' } },
        volumeMounts: [{ name: 'd', mountPath: '/d' }],
      },
      {
        name: 'idle',
        image: BUSYBOX,
        command: ['sleep', '1000'],
        livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
      },
    ],
  },
};
const SLEEPER = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'sleeper' },
  spec: {
    nodeName: 'one',
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: BUSYBOX, command: ['sleep', '1000'] }],
  },
};

interface Summary {
  readonly node: Readonly<Record<string, never>>;
  readonly pods: readonly Readonly<Record<string, never>>[];
}

/** Asks a node through the API server. */
function ask(cluster: Cluster, path: string, node = 'two'): Promise<string> {
  return cluster.kubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/${path}`);
}

/** The value of the only sample of this series; its labels in the order that the node writes. */
function sample(text: string, series: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${series} `));
  assert.is(lines.length, 1, `${series} in\n${text}`);
  return Number(lines[0]?.slice(series.length + 1).split(' ')[0]);
}

/** Every leaf below `paths` is a number greater than 0. */
function counts(object: object, ...paths: readonly string[]): void {
  for (const path of paths) {
    const value = path
      .split('.')
      .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], object);
    assert.ok(
      typeof value === 'number' && value > 0,
      `${path} is ${value}: ${JSON.stringify(object)}`,
    );
  }
}

suite('e2e/node-api', ({ test }) => {
  const shared = new SharedCluster(async () => {
    const cluster = await clusterOf(2);
    await cluster.apply(BUSY, SLEEPER);
    await cluster.kubectl(
      ...['wait', '--for=condition=Ready', '--timeout=60s', 'pod/busy', 'pod/sleeper'],
    );
    return cluster;
  });

  test(
    'kubectl top at once: pods, containers, nodes, selectors, sorting; tables and single objects',
    async () => {
      const cluster = await shared.get();
      assert.match(
        await cluster.kubectl('top', 'pod'),
        /^NAME +CPU\(cores\) +MEMORY\(bytes\) *\nbusy +\d+m +\d+Mi *\nsleeper +\d+m +\d+Mi *\n$/,
      );
      await cluster.until('the load', async () => {
        const rows = await cluster.kubectl('top', 'pod', '--containers', '--no-headers');
        const spin = /^busy +spin +(\d+)m /m.exec(rows)?.[1];
        const idle = /^busy +idle +(\d+)m /m.exec(rows)?.[1];
        return Number(spin) >= 100 && Number(spin) <= 260 && Number(idle) < 50;
      });
      assert.match(
        await cluster.kubectl('top', 'node'),
        /^NAME +CPU\(cores\) +CPU\(%\).*\none +\d+m +\d+% +\d+Mi +\d+% *\ntwo +\d+m +\d+% +\d+Mi +\d+% *\n$/,
      );
      assert.match(
        await cluster.kubectl('top', 'pod', '-A', '--sort-by=cpu', '--no-headers'),
        /^default +busy .*\ndefault +sleeper .*\n$/,
      );
      assert.not.match(await cluster.kubectl('top', 'pod', '-l', 'app=busy'), /sleeper/);
      await cluster.refused(/pods "default\/nope" not found/, 'top', 'pod', 'nope');
      assert.match(
        await cluster.kubectl('get', 'podmetrics', 'busy'),
        /^NAME +CPU +MEMORY +WINDOW\nbusy +\d+\w* +\d+[KM]i +[\d.]+m?s\n$/,
      );
      const node = JSON.parse(
        await cluster.kubectl('get', 'nodemetrics.metrics.k8s.io', 'two', '-o', 'json'),
      );
      assert.match(node.usage.cpu, /^\d+[num]?$/);
      assert.match(node.usage.memory, /^\d+Ki$/);
      assert.match(node.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      await cluster.refused(
        /nodes "nope" not found/,
        ...['get', 'nodemetrics.metrics.k8s.io', 'nope'],
      );
      await cluster.refused(/MethodNotAllowed/, 'delete', 'podmetrics', 'busy');
    },
    TIMEOUT_MS,
  );

  test(
    'who may ask: viewers for metrics, nobody but administrators for the nodes themselves',
    async () => {
      const cluster = await shared.get();
      const as = ['--as=ann', '--as-group=system:authenticated'];
      await cluster.refused(
        /cannot list resource "pods" in API group "metrics.k8s.io"/,
        'top',
        'pod',
        ...as,
      );
      await cluster.kubectl('create', 'rolebinding', 'ann', '--clusterrole=view', '--user=ann');
      await cluster.until('the binding', () => cluster.kubectl('top', 'pod', ...as));
      await cluster.refused(/cannot list resource "nodes"/, 'top', 'node', ...as);
      const stats = '/api/v1/nodes/two/proxy/stats/summary';
      await cluster.refused(/cannot get resource "nodes\/proxy"/, 'get', '--raw', stats, ...as);
    },
    TIMEOUT_MS,
  );

  test(
    '/stats/summary: node, pod, containers, volume, network, disks',
    async () => {
      const cluster = await shared.get();
      const { node, pods } = JSON.parse(await ask(cluster, 'stats/summary')) as Summary;
      counts(
        node,
        ...['cpu.usageCoreNanoSeconds', 'memory.availableBytes', 'memory.workingSetBytes'],
        ...['memory.rssBytes', 'memory.pageFaults', 'network.rxBytes', 'fs.availableBytes'],
        ...['fs.capacityBytes', 'runtime.imageFs.usedBytes', 'rlimit.maxpid', 'rlimit.curproc'],
      );
      assert.is(pods.length, 1);
      const pod = pods[0] ?? {};
      assert.is(Reflect.get(pod['podRef'] ?? {}, 'name'), 'busy');
      counts(
        pod,
        ...['cpu.usageNanoCores', 'cpu.usageCoreNanoSeconds', 'memory.workingSetBytes'],
        ...['network.rxBytes', 'ephemeral-storage.usedBytes', 'process_stats.process_count'],
        ...['containers.1.cpu.usageNanoCores', 'containers.1.memory.availableBytes'],
        ...['containers.1.memory.usageBytes', 'containers.1.memory.pageFaults'],
        ...[
          'containers.1.rootfs.usedBytes',
          'containers.1.logs.usedBytes',
          'volume.0.capacityBytes',
        ],
      );
      assert.equal(
        (pod['containers'] as readonly { name: string }[] | undefined)?.map(({ name }) => name),
        ['idle', 'spin'],
      );
      const [volume] = (pod['volume'] ?? []) as { name: string; usedBytes: number }[];
      assert.is(volume?.name, 'd');
      const brief = JSON.parse(await ask(cluster, 'stats/summary?only_cpu_and_memory=true'));
      assert.is(brief.pods[0].network, undefined);
      counts(brief.pods[0], 'cpu.usageCoreNanoSeconds', 'containers.0.memory.workingSetBytes');
    },
    TIMEOUT_MS,
  );

  test(
    '/metrics, /metrics/resource, /metrics/cadvisor, /metrics/probes',
    async () => {
      const cluster = await shared.get();
      const resource = await ask(cluster, 'metrics/resource');
      const spin = '{container="spin",namespace="default",pod="busy"}';
      assert.ok(sample(resource, `container_cpu_usage_seconds_total${spin}`) > 0);
      assert.ok(sample(resource, `container_memory_working_set_bytes${spin}`) > 0);
      assert.ok(sample(resource, `container_start_time_seconds${spin}`) > 1.7e9);
      assert.ok(
        sample(resource, 'pod_cpu_usage_seconds_total{namespace="default",pod="busy"}') > 0,
      );
      assert.ok(sample(resource, 'node_cpu_usage_seconds_total') > 0);
      assert.is(sample(resource, 'resource_scrape_error'), 0);
      const cadvisor = await ask(cluster, 'metrics/cadvisor');
      assert.match(
        cadvisor,
        /^container_cpu_usage_seconds_total\{container="spin",id="\/mini\/.+",image=".+",name="[0-9a-f]{64}",namespace="default",pod="busy",cpu="total"\} [\d.]+ \d+$/m,
      );
      assert.match(
        cadvisor,
        /^container_cpu_cfs_throttled_periods_total\{container="spin",.*\} [1-9]/m,
      );
      assert.match(
        cadvisor,
        /^container_network_receive_bytes_total\{.*pod="busy",interface="eth0"\} [1-9]/m,
      );
      const own = await ask(cluster, 'metrics');
      assert.is(sample(own, 'kubelet_node_name{node="two"}'), 1);
      assert.is(sample(own, 'kubelet_running_pods'), 1);
      assert.is(sample(own, 'kubelet_running_containers{container_state="running"}'), 2);
      assert.ok(
        sample(own, 'kubelet_runtime_operations_total{operation_type="start_container"}') >= 2,
      );
      assert.is(sample(own, 'kubelet_pod_start_duration_seconds_count'), 1);
      await cluster.until('probes', async () =>
        /^prober_probe_total\{probe_type="Liveness",container="idle",pod="busy",namespace="default",result="successful",pod_uid="[0-9a-f-]+"\} [1-9]/m.test(
          await ask(cluster, 'metrics/probes'),
        ),
      );
    },
    TIMEOUT_MS,
  );

  test(
    '/healthz, /pods, /runningpods, /configz, /logs, /run; what is not there or not to be had',
    async () => {
      const cluster = await shared.get();
      assert.is(await ask(cluster, 'healthz'), 'ok');
      assert.is(await ask(cluster, 'healthz/syncloop'), 'ok');
      assert.match(
        await ask(cluster, 'healthz?verbose'),
        /^\[\+\]ping ok\n.*\nhealthz check passed\n$/s,
      );
      for (const path of ['pods', 'runningpods/']) {
        const { kind, items } = JSON.parse(await ask(cluster, path));
        assert.is(kind, 'PodList');
        assert.is(items[0].metadata.name, 'busy');
        assert.is(items[0].spec.containers.length, 2);
      }
      const { kubeletconfig } = JSON.parse(await ask(cluster, 'configz'));
      assert.ok(kubeletconfig.maxPods >= 500);
      assert.is(kubeletconfig.clusterDomain, 'cluster.local');
      assert.match(await ask(cluster, 'logs/'), /<a href="[^"]+">/);
      assert.match(await ask(cluster, 'containerLogs/default/busy/spin?tailLines=1'), /^spun\n$/);
      const create = (path: string) =>
        cluster.try(['create', '--raw', `/api/v1/nodes/two/proxy/${path}`, '-f', '/dev/null']);
      assert.is((await create('run/default/busy/idle?cmd=echo%20said')).stdout, 'said\n');
      assert.match(
        (await create('checkpoint/default/busy/idle')).stderr,
        /not supported by this node/,
      );
      for (const path of ['nope', 'healthz/nope', 'stats/nope', 'metrics/nope', 'logs/nope'])
        await cluster.refused(/NotFound/, 'get', '--raw', `/api/v1/nodes/two/proxy/${path}`);
      await cluster.refused(
        /leads out of|NotFound|Forbidden/,
        ...['get', '--raw', '/api/v1/nodes/two/proxy/logs/%2e%2e/%2e%2e/etc/passwd'],
      );
    },
    TIMEOUT_MS,
  );

  test(
    'exec and port-forward over WebSockets and over SPDY',
    async () => {
      const cluster = await shared.get();
      const modes = ['true', 'false'];
      for (const [index, mode] of modes.entries()) {
        const exec = [
          'exec',
          '-i',
          'busy',
          '-c',
          'idle',
          '--',
          'sh',
          '-c',
          'cat; echo no >&2; exit 3',
        ];
        const ran = await cluster.try(exec, {
          input: 'typed',
          env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: mode },
        });
        assert.is(ran.stdout, 'typed', ran.stderr);
        assert.match(ran.stderr, /^no\n/);
        assert.is(ran.code, 3);
        const serving = ['exec', 'busy', '-c', 'idle', '--', 'sh', '-c'];
        await cluster.kubectl(
          ...serving,
          `(echo port ${mode} | nc -l -p 80${index}0 >/dev/null) &`,
        );
        const forward = cluster.one.start(
          [...cluster.program, 'port-forward', 'pod/busy', `90${index}0:80${index}0`],
          { KUBECTL_PORT_FORWARD_WEBSOCKETS: mode },
        );
        await cluster.until('the port', async () => forward.output().includes('Forwarding from'));
        const said = await cluster.one.run([
          'bash',
          '-c',
          `exec 3<>/dev/tcp/127.0.0.1/90${index}0; read -r -t 20 line <&3; echo "$line"`,
        ]);
        assert.is(said.stdout, `port ${mode}\n`, said.stderr);
        await forward.kill('SIGKILL');
      }
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
