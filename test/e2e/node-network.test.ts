/** How pods meet the network of their host: ports of the host, and the way out to other networks. */

import { spawn, spawnSync } from 'node:child_process';
import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import type { Host } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
/** The bridge's own address. */
const GATEWAY = /10\.42\.0\.1\b/;
const BRIDGE_FILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const TABLE = ['nft', 'list', 'table', 'inet', 'mini-mini0'];
/** Answers each request with the address that it came from. */
const WHO = `mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; echo from=$REMOTE_ADDR\\n' > /www/cgi-bin/who
busybox chmod +x /www/cgi-bin/who; exec httpd -f -p 8080 -h /www -r $0`;
/** Sends every datagram back. */
const ECHO = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5353))
while True: d, a = s.recvfrom(99); s.sendto(d, a)`;
const LISTEN = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 8070))
while True: print(s.recvfrom(99))`;
const SEND = `import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ('127.0.0.1', 8070))`;
const HELLO = `import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b'hello', (sys.argv[1], 5354)); print(s.recvfrom(99))`;
/** One flow that goes on, answered or not: the kernel remembers where its first datagram went. */
const KEEP_ASKING = `import socket, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2)
while True:
  try:
    s.sendto(b'hello', (sys.argv[1], 5354)); print('asked'); print(s.recvfrom(99)); time.sleep(0.1)
  except OSError: time.sleep(0.1)`;

function server(name: string, ports: readonly object[]) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', WHO, name], ports }],
    },
  };
}

suite('e2e/node network', ({ test }) => {
  /** One node, and a host of the same network that has nothing of mini. */
  const shared = new SharedCluster(async () => {
    const cluster = await clusterOf(1);
    await cluster.addHost('outside');
    return cluster;
  });
  const outside = (cluster: Cluster): Host => {
    const [, host] = cluster.hosts;
    if (!host) throw new Error('no second host');
    return host;
  };
  const ask = async (host: Host, address: string): Promise<string> => {
    const url = `http://${address}/cgi-bin/who`;
    return (await host.run(['curl', '-s', '--noproxy', '*', '-m', '3', url])).stdout.trim();
  };
  /** Runs a program of the machine in the network of a pod; resolves to its output whatever its exit code. */
  const inPod = (cluster: Cluster, pod: string, ...command: readonly string[]): string => {
    const [pid] = cluster.one.pidsOf(new RegExp(`httpd .* -r ${pod}`));
    if (pid === undefined) throw new Error(`pod ${pod} does not run`);
    const args = ['-t', String(pid), '-n', ...command];
    return spawnSync('nsenter', args, { encoding: 'utf8' }).stdout.trim();
  };
  const askFrom = (cluster: Cluster, pod: string, address: string): string =>
    inPod(cluster, pod, 'curl', '-s', '--noproxy', '*', '-m', '3', `http://${address}/cgi-bin/who`);

  test(
    'a host port is reached from outside, from the host, from its pod and from others',
    async () => {
      const cluster = await shared.get();
      const { one } = cluster;
      await one.ok(['nft', 'add', 'table', 'inet', 'of-others']);
      const early = outside(cluster).start(['python3', '-uc', KEEP_ASKING, one.address]);
      await cluster.until('the first datagram', async () => early.output().includes('asked'));
      await cluster.apply(
        server('web', [
          { containerPort: 8080, hostPort: 8081 },
          { containerPort: 5353, hostPort: 5354, protocol: 'UDP' },
          { containerPort: 7, hostPort: 7000, protocol: 'SCTP' },
          { containerPort: 8080, hostPort: 8082, hostIP: '127.0.0.1' },
        ]),
        server('peer', []),
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/web', 'pod/peer');
      const ip = await cluster.kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.podIP}');
      const far = outside(cluster);
      const port = `${one.address}:8081`;
      await cluster.until('an answer from outside', async () => (await ask(far, port)) !== '');
      assert.match(await ask(far, port), far.address, 'the source address is kept');
      assert.match(await ask(one, port), one.address);
      assert.match(await ask(one, '127.0.0.1:8081'), GATEWAY);
      // Whether bridged packets are filtered as routed ones depends on what else the host runs.
      for (const value of ['1', '0']) {
        await one.run(['sh', '-c', `echo ${value} > ${BRIDGE_FILTER}`]);
        assert.match(askFrom(cluster, 'web', port), GATEWAY, `hairpin, ${value}`);
        assert.match(askFrom(cluster, 'peer', port), GATEWAY, `another pod, ${value}`);
      }
      assert.match(await ask(one, '127.0.0.1:8082'), GATEWAY);
      assert.is(await ask(far, `${one.address}:8082`), '', 'hostIP is the only address');
      const [pid] = one.pidsOf(/httpd .* -r web/);
      const echo = spawn('nsenter', ['-t', String(pid), '-n', 'python3', '-c', ECHO]);
      const answer = await cluster.until('a datagram', async () => {
        const { code, stdout } = await far.run(['python3', '-c', HELLO, one.address]);
        return code === 0 && stdout;
      });
      await cluster.until('the flow that began before the pod', async () =>
        early.output().includes('hello'),
      );
      await early.kill('SIGKILL');
      echo.kill('SIGKILL');
      assert.match(answer, `b'hello', ('${one.address}', 5354)`);
      assert.match(await one.ok(TABLE), `sctp . 7000 : ${ip} . 7`);
    },
    TIMEOUT_MS,
  );

  test(
    'the table is made again when others removed it and by a new agent, goes with the pod, and leaves others alone',
    async () => {
      const cluster = await shared.get();
      const { one } = cluster;
      const port = `${one.address}:8081`;
      const [agent] = one.pidsOf(/ agent --server/);
      if (agent === undefined) throw new Error('no agent');
      // While there is no agent, nobody writes it.
      process.kill(agent, 'SIGSTOP');
      await one.ok(['nft', 'flush', 'ruleset']);
      await one.ok(['nft', 'add', 'table', 'inet', 'of-others']);
      assert.is(await ask(outside(cluster), port), '');
      process.kill(agent, 'SIGCONT');
      await cluster.until('what others removed', async () => (await one.run(TABLE)).code === 0);
      await cluster.until('the port again', async () => (await ask(outside(cluster), port)) !== '');
      await one.ok(['nft', 'flush', 'table', 'inet', 'mini-mini0']);
      await cluster.until('flushed rules', async () =>
        (await one.ok(TABLE)).includes('masquerade'),
      );
      process.kill(agent, 'SIGKILL');
      await one.ok(['nft', 'delete', 'table', 'inet', 'mini-mini0']);
      await cluster.until('the port again', async () => (await ask(outside(cluster), port)) !== '');
      await cluster.kubectl('delete', 'pod', 'web', '--wait');
      await cluster.until('the port to be gone', async () =>
        (await one.ok(TABLE)).includes('8080') ? undefined : true,
      );
      assert.is(await ask(outside(cluster), port), '');
      await one.ok(['nft', 'list', 'table', 'inet', 'of-others']);
    },
    TIMEOUT_MS,
  );

  test(
    'a port that is taken is told, and free again with its pod',
    async () => {
      const cluster = await shared.get();
      const ports = [{ containerPort: 8080, hostPort: 8090 }];
      const { spec, ...rest } = server('second', ports);
      const second = { ...rest, spec: { ...spec, nodeName: 'one' } };
      await cluster.apply(server('first', ports));
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/first');
      await cluster.apply(second);
      await cluster.until('the refusal', async () => {
        const path = 'jsonpath={.status.phase} {.status.reason}';
        return (await cluster.kubectl('get', 'pod', 'second', '-o', path)) === 'Failed NodePorts';
      });
      await cluster.kubectl('delete', 'pod', 'first', 'second', '--wait');
      // The node may not be done yet with what the API has forgotten: it refuses for good then.
      await cluster.until('the second pod to run', async () => {
        await cluster.apply(second);
        const phase = await cluster.kubectl(
          'get',
          'pod',
          'second',
          '-o',
          'jsonpath={.status.phase}',
        );
        if (phase === 'Failed') await cluster.kubectl('delete', 'pod', 'second', '--wait');
        return phase === 'Running';
      });
    },
    TIMEOUT_MS,
  );

  test(
    'pods reach other networks with the address of their host, and not its loopback',
    async () => {
      const cluster = await shared.get();
      const { one } = cluster;
      const far = outside(cluster);
      const serve =
        'mkdir -p $0/cgi-bin; printf "#!/bin/sh\\necho; echo from=\\$REMOTE_ADDR\\n" > $0/cgi-bin/who; chmod +x $0/cgi-bin/who; exec busybox httpd -f -p "$1" -h $0';
      const there = far.start(['sh', '-c', serve, `${far.dir}/www`, '8080']);
      const answer = await cluster.until('an answer from outside', async () =>
        askFrom(cluster, 'peer', `${far.address}:8080`),
      );
      assert.match(answer, one.address);
      const local = one.start(['python3', '-uc', LISTEN]);
      // A pod that may change its routes sends packets for 127.0.0.1 to its host, whose bridge is told to route them.
      const script = `echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
ip route del local 127.0.0.0/8 dev lo table local
ip route del local 127.0.0.1 dev lo table local; ip route add 127.0.0.1 via 10.42.0.1`;
      inPod(cluster, 'second', 'sh', '-ec', script);
      inPod(cluster, 'second', 'python3', '-c', SEND, 'guarded');
      await one.ok(['nft', 'insert', 'rule', 'inet', 'mini-mini0', 'guard', 'accept']);
      await cluster.until('what is not guarded', async () => {
        inPod(cluster, 'second', 'python3', '-c', SEND, 'open');
        return local.output().includes('open');
      });
      assert.not.match(local.output(), 'guarded');
      await there.kill('SIGKILL');
      await local.kill('SIGKILL');
    },
    TIMEOUT_MS,
  );

  test(
    'mini down removes the table',
    async () => {
      const cluster = await shared.get();
      await cluster.one.mini('down');
      assert.not.match(await cluster.one.ok(['nft', 'list', 'tables']), 'mini-mini0');
      await shared.close();
    },
    TIMEOUT_MS,
  );
});
