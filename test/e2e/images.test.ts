/** Images as users meet them: logins, what is told of pulls, images as volumes, images that nobody uses any more. */

import { resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, Cluster, SharedCluster } from '../harness/cluster.ts';
import type { Running } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
/** Runs on the host: a registry that wants a login, with two images; ends with its input. */
const REGISTRY = `
import { startRegistry, push } from '${resolve('test/harness/registry.ts')}';
import { buildImage } from '${resolve('test/harness/images.ts')}';
import { readFileSync } from 'node:fs';
const registry = await startRegistry({ isGuarded: true });
const login = 'Basic ' + Buffer.from('alice:secret').toString('base64');
const program = { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 };
const to = (repository) => ({ host: registry.host, repository, tag: '1' });
await push(await buildImage({ tag: 'x', layers: [[program]], config: { Cmd: ['/bin/busybox', 'sleep', '1000'] } }), to('app'), login);
await push(await buildImage({ tag: 'x', layers: [[{ name: 'dir/data', content: 'old' }, program], [{ name: 'dir/data', content: 'new' }]] }), to('data'), login);
console.log('registry at ' + registry.host);
process.stdin.resume().on('end', async () => { await registry.close(); process.exit(0); });
`;

function pod(name: string, image: string, spec: object = {}) {
  const containers = [{ name: 'c', image, imagePullPolicy: 'IfNotPresent' }];
  const grace = { terminationGracePeriodSeconds: 0 };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers, ...grace, ...spec },
  };
}

/** A container of busybox that runs a script and goes on. */
function busybox(script: string, more: object) {
  const command = ['sh', '-c', `${script}; exec sleep 1000`];
  return { containers: [{ name: 'c', image: BUSYBOX, command, ...more }] };
}

suite('e2e/images', ({ test }) => {
  let registry: Running | undefined;
  let at = '';
  const shared = new SharedCluster(async () => {
    const gc = ['image-gc-high-threshold=1', 'image-gc-low-threshold=0'];
    const args = [...gc, 'minimum-image-ttl-duration=0s'];
    const cluster = await Cluster.start(...args.flatMap((arg) => ['--kubelet-arg', arg]));
    await cluster.importBusybox();
    registry = cluster.one.startTyping([process.execPath, '--input-type=module', '-e', REGISTRY]);
    at = await cluster.until('the registry', async () => {
      return /registry at (\S+)/.exec(registry?.output() ?? '')?.[1];
    });
    return cluster;
  });
  /** Events about a pod, once one of them is this. */
  const told = (cluster: Cluster, name: string, event: RegExp) =>
    cluster.until(`${event} about ${name}`, async () => {
      const text = await cluster.kubectl('describe', 'pod', name);
      if (event.test(text)) return text;
      throw new Error(text);
    });
  const login = (cluster: Cluster, name: string, server: string, password: string) =>
    cluster.kubectl(
      ...['create', 'secret', 'docker-registry', name, `--docker-server=${server}`],
      ...['--docker-username=alice', `--docker-password=${password}`],
    );

  test(
    'a registry that wants a login: none, a wrong one, the right one of pod or service account',
    async () => {
      const cluster = await shared.get();
      await login(cluster, 'wrong', at, 'guess');
      await login(cluster, 'elsewhere', 'example.org', 'secret');
      await login(cluster, 'right', `${at}/app`, 'secret');
      await cluster.apply(
        pod('none', `${at}/app:1`, { imagePullSecrets: [{ name: 'nobody' }] }),
        pod('refused', `${at}/app:1`, { imagePullSecrets: [{ name: 'wrong' }] }),
      );
      const none = await told(cluster, 'none', /ImagePullBackOff/);
      assert.match(
        none,
        /Unable to retrieve some image pull secrets \(nobody\); attempting to pull the image may not succeed\./,
      );
      assert.match(none, /Failed to pull image .*without permission; give a user name/);
      const refused = await told(cluster, 'refused', /ImagePullBackOff/);
      assert.match(refused, /the user name or password was not accepted/);
      assert.not.match(refused, /guess/);
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'puller' } };
      const secrets = ['elsewhere', 'wrong', 'right'].map((name) => ({ name }));
      await cluster.apply({ ...account, imagePullSecrets: secrets });
      await cluster.apply(pod('granted', `${at}/app:1`, { serviceAccountName: 'puller' }));
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/granted', '--timeout=60s');
      const granted = await told(cluster, 'granted', /Started/);
      assert.match(
        granted,
        /Successfully pulled image "\S+" in \d+(\.\d+)?m?s \(\d+(\.\d+)?m?s including waiting\)\. Image size: \d+ bytes\./,
      );
      // It is on the node now, and still for those alone who may have it.
      await cluster.apply(
        pod('stranger', `${at}/app:1`, {}),
        pod('owner', `${at}/app:1`, { imagePullSecrets: [{ name: 'right' }] }),
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/owner', '--timeout=60s');
      await told(cluster, 'owner', /already present on machine and can be accessed by the pod/);
      const stranger = await told(cluster, 'stranger', /ImagePullBackOff/);
      assert.match(stranger, /Failed to pull image .*without permission; give a user name/);
      const path = 'jsonpath={.status.containerStatuses[0].imageID}';
      const digest = await cluster.kubectl('get', 'pod', 'granted', '-o', path);
      assert.match(digest, new RegExp(`^${at}/app@sha256:[0-9a-f]{64}$`));
      await cluster.until('the node to list the image', async () => {
        const images = 'jsonpath={.status.images[*].names}';
        return (await cluster.kubectl('get', 'node', 'one', '-o', images)).includes(digest);
      });
    },
    TIMEOUT_MS,
  );

  test(
    'an image as a volume: all layers, a part of it, read-only, without programs',
    async () => {
      const cluster = await shared.get();
      await login(cluster, 'data', at, 'secret');
      const image = { reference: `${at}/data:1`, pullPolicy: 'Always' };
      const volumeMounts = [
        { name: 'v', mountPath: '/v' },
        { name: 'v', mountPath: '/part', subPath: 'dir' },
      ];
      const script =
        'cat /v/dir/data /part/data; echo; touch /v/x || echo unwritable; /v/bin/busybox true || echo noexec';
      await cluster.apply(
        pod('volume', BUSYBOX, {
          imagePullSecrets: [{ name: 'data' }],
          volumes: [{ name: 'v', image }],
          ...busybox(script, { volumeMounts }),
        }),
        pod('absent', BUSYBOX, {
          volumes: [{ name: 'v', image: { reference: `${at}/data:2` } }],
          ...busybox('true', { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
        }),
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/volume', '--timeout=60s');
      const logs = await cluster.until('the end of the script', async () => {
        const text = await cluster.kubectl('logs', 'volume');
        return text.includes('noexec') && text;
      });
      assert.match(logs, /^newnew\n/);
      assert.match(logs, 'unwritable');
      await told(cluster, 'absent', /ErrImagePull|ImagePullBackOff/);
      await cluster.kubectl('delete', 'pod', 'volume', 'absent', '--wait');
      await cluster.until('the mount to go', async () => {
        const mounts = await cluster.one.ok(['cat', '/proc/mounts']);
        if (/volumes\/v /.test(mounts)) throw new Error(mounts);
        return true;
      });
    },
    TIMEOUT_MS,
  );

  test(
    'environment from a file that an init container wrote, and long DNS settings',
    async () => {
      const cluster = await shared.get();
      const file = { volumeName: 'v', path: 'e', key: 'COLOR' };
      const nameservers = ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'];
      const init = {
        ...{ name: 'i', image: BUSYBOX, volumeMounts: [{ name: 'v', mountPath: '/v' }] },
        command: ['sh', '-c', `echo "# made here" > /v/e; echo "COLOR='blue sky'" >> /v/e`],
      };
      const env = [
        { name: 'COLOR', valueFrom: { fileKeyRef: file } },
        { name: 'NONE', valueFrom: { fileKeyRef: { ...file, key: 'NO', optional: true } } },
        { name: 'BOTH', value: 'the $(COLOR)' },
      ];
      await cluster.apply(
        pod('file', BUSYBOX, {
          ...{ dnsPolicy: 'None', dnsConfig: { nameservers: nameservers.slice(1) } },
          volumes: [{ name: 'v', emptyDir: {} }],
          initContainers: [init],
          ...busybox('echo "$BOTH:"; env | grep NONE; cat /etc/resolv.conf', { env }),
        }),
      );
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/file', '--timeout=60s');
      const logs = await cluster.until('output', () => cluster.kubectl('logs', 'file'));
      assert.match(logs, /^the blue sky:\n(?!NONE)/);
      assert.match(logs, 'nameserver 1.1.1.4');
    },
    TIMEOUT_MS,
  );

  test(
    'images that nobody uses go when the disk is too full; those in use and imported ones stay',
    async () => {
      const cluster = await shared.get();
      const images = () => cluster.one.mini('image', 'ls');
      assert.match(await images(), `${at}/data`);
      const [agent] = cluster.one.pidsOf(/ agent --server/);
      if (agent === undefined) throw new Error('no agent');
      process.kill(agent, 'SIGKILL');
      await cluster.until('the unused image to go', async () => {
        const text = await images();
        return !text.includes(`${at}/data`) && text.includes('busybox');
      });
      assert.match(await images(), `${at}/app`, 'in use');
      await cluster.until('the event', async () =>
        /FreeDiskSpaceFailed\s+node\/one\s+Failed to garbage collect required amount of images\. Attempted to free \d+ bytes, but only found \d+ bytes eligible to free\./.test(
          await cluster.kubectl('get', 'events'),
        ),
      );
      assert.is(
        await cluster.kubectl('get', 'pod', 'granted', '-o', 'jsonpath={.status.phase}'),
        'Running',
      );
      assert.not.match(await cluster.one.mini('image', 'prune'), `${at}/app`, 'in use');
      await cluster.kubectl('delete', 'pod', 'granted', 'owner', 'stranger', '--now');
      const pruned = await cluster.until('the image to be pruned', async () => {
        const text = await cluster.one.mini('image', 'prune');
        return text.includes(`${at}/app`) && text;
      });
      assert.match(pruned, /^Removed \d+ images of \d+/m);
      assert.match(await images(), 'busybox');
      assert.not.match(await images(), `${at}/app`);
    },
    TIMEOUT_MS,
  );

  test(
    'nothing is left behind',
    async () => {
      registry?.child.stdin?.end();
      await registry?.exited;
      await shared.close();
    },
    TIMEOUT_MS,
  );
});
