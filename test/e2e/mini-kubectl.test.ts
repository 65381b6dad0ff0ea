/** `mini kubectl` of the built executable in a test host, beside the real kubectl where both must say the same. */

import { resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { BUSYBOX, Cluster } from '../harness/cluster.ts';
import type { Output } from '../harness/hosts.ts';
import { suite } from '../harness/suite.ts';

const MINI = resolve('dist/mini');
const TIMEOUT_MS = 180_000;

const MANIFEST = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {switch: "on", clock: "1:20", text: "x\\ny\\n", sentence: "a: b"}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: ${BUSYBOX}
        command: [sh, -c, "echo started; mkdir /w; echo hello > /w/index.html; exec httpd -f -p 8080 -h /w"]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
`;

const LONE = `apiVersion: v1
kind: Pod
metadata: {name: lone, labels: {run: lone}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "${BUSYBOX}", command: [sleep, "1000"]}]
`;

/** What both must print alike, with the same exit code; their ages come from the server's clock. */
const SAME = [
  'get nodes -o yaml',
  'get deploy web -o yaml',
  'get deploy web -o json',
  'get pods,svc -o name',
  'get pod nope',
  'get nonsense',
  'get cm -n nope',
  'get deploy web nope -o name',
  'get svc web -o jsonpath={.spec.ports[*].port}',
  'get pods -l app=web -o custom-columns=N:.metadata.name,I:.spec.containers[*].image,L:.metadata.labels',
  'get nodes -o jsonpath={range.items[*]}{.metadata.name}{"\\n"}{end}',
  'get cm -A -o yaml',
  'get pv',
  'api-resources',
  'describe deploy web',
  'describe svc web',
  'rollout history deploy web',
  'rollout status deploy/web',
  'rollout undo deploy/web',
  'logs -l app=web --prefix',
  'delete pod nope',
  'delete pods',
  'delete deploy web --dry-run=server',
  'label pods --all a=b --dry-run=server',
  'scale deploy/web --replicas=2 --current-replicas=7',
  'scale deploy/web --replicas=2',
  'create deployment d --image=x --replicas=2 --port=80 --dry-run=client -o yaml',
  'create configmap c --from-literal=a=b --dry-run=client -o yaml',
  'create service clusterip s --tcp=80:8080 --dry-run=client -o yaml',
  'create ns default',
  'run p --image=x --port=80 --env=A=b --restart=Never --dry-run=client -o yaml -- sh',
  'expose deploy web --port=80 --target-port=8080 --dry-run=client -o yaml',
  'wait --for=condition=Available deploy/web',
  'exec deploy/web -- sh -c exit\t3',
  'cluster-info',
  'config current-context',
].map((line) => line.split(' ').map((word) => word.replace('\t', ' ')));

/** Ages and columns differ between two calls. */
function bare({ stdout }: Output): string {
  return stdout.replace(/\d+[smh]\S*/g, 'AGE').replace(/ +/g, ' ');
}

/** What of the output of some verbs is to be the same. kubectl reads the logs of several pods in random order. */
const COMPARED: Readonly<Record<string, (output: Output) => string>> = {
  describe: bare,
  logs: ({ stdout }) => stdout.split('\n').sort().join('\n'),
};

suite('mini kubectl', ({ test, cleanup }) => {
  test(
    'does the everyday work as kubectl does it',
    async () => {
      const cluster = await Cluster.start();
      cleanup(() => cluster.close());
      const host = cluster.one;
      const mini = (args: readonly string[], input?: string): Promise<Output> =>
        host.run([MINI, 'kubectl', ...args], input === undefined ? {} : { input });
      const ok = async (args: readonly string[], input?: string): Promise<string> => {
        const { code, stdout, stderr } = await mini(args, input);
        assert.is(code, 0, `${args.join(' ')}: ${stderr}`);
        return stdout;
      };
      await cluster.importBusybox();

      const apply = ['apply', '-f', '-'];
      assert.is(await ok(apply, MANIFEST), 'deployment.apps/web created\nservice/web created\n');
      assert.is(
        await ok(apply, MANIFEST),
        'deployment.apps/web unchanged\nservice/web unchanged\n',
      );
      const real = await cluster.try(apply, { input: MANIFEST });
      assert.is(real.stdout, 'deployment.apps/web unchanged\nservice/web unchanged\n', real.stderr);
      await ok(['rollout', 'status', 'deploy/web', '--timeout=60s']);
      // A container runs before it has said anything, and what two commands print must not change between them.
      await cluster.until('both pods to tell of their start', async () => {
        const told = await ok(['logs', '-l', 'app=web']);
        return told === 'started\nstarted\n';
      });

      for (const args of SAME) {
        const text = COMPARED[args[0] ?? ''] ?? (({ stdout }: Output) => stdout);
        const [theirs, ours] = [await cluster.try(args), await mini(args)];
        assert.is(ours.code, theirs.code, `${args.join(' ')}\n${ours.stderr}${theirs.stderr}`);
        assert.is(text(ours), text(theirs), args.join(' '));
        assert.is(ours.stderr, theirs.stderr, args.join(' '));
      }
      for (const args of [
        ['get', 'all'],
        ['get', 'pods', '-A', '-o', 'wide'],
      ])
        assert.is(bare(await mini(args)), bare(await cluster.try(args)), args.join(' '));

      assert.is(await ok(['exec', '-i', 'deploy/web', '--', 'cat'], 'typed'), 'typed');
      const forward = host.start([MINI, 'kubectl', 'port-forward', 'svc/web', '9090:80']);
      await cluster.until('the port', async () => forward.output().includes('Forwarding from'));
      assert.is(await host.ok(['curl', '-sS', 'http://127.0.0.1:9090/']), 'hello\n');
      await forward.kill('SIGKILL');

      assert.is(await ok(['scale', 'deploy/web', '--replicas=1']), 'deployment.apps/web scaled\n');
      assert.is(await ok(['rollout', 'restart', 'deploy/web']), 'deployment.apps/web restarted\n');
      assert.match(await ok(['rollout', 'status', 'deploy/web']), 'successfully rolled out');
      assert.is(await ok(['rollout', 'undo', 'deploy/web']), 'deployment.apps/web rolled back\n');
      const job = ['run', 'job', `--image=${BUSYBOX}`, '-i', '--rm', '--restart=Never', '--'];
      const ran = await mini([...job, 'sh', '-c', 'cat; exit 4'], 'piped\n');
      assert.is(ran.code, 4, ran.stderr);
      assert.match(ran.stdout, /piped\n/);
      assert.match(ran.stdout, 'pod "job" deleted from default namespace');
      assert.is((await mini(['get', 'pod', 'job'])).code, 1);

      const edit = (script: string) =>
        host.run([MINI, 'kubectl', 'edit', 'deploy', 'web'], { env: { KUBE_EDITOR: script } });
      assert.is(
        (await edit("sed -i 's/replicas: 1/replicas: 2/'")).stdout,
        'deployment.apps/web edited\n',
      );
      assert.is(await ok(['get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}']), '2');
      assert.match((await edit('true')).stderr, 'Edit cancelled, no changes made.');
      const invalid = await edit("sed -i 's/replicas: 2/replicas: -1/'");
      assert.match(invalid.stderr, 'no valid changes were saved');
      assert.is(invalid.code, 1);

      const budget = ['create', 'poddisruptionbudget', 'all', '--selector=app=web'];
      await cluster.kubectl(...budget, '--min-available=2');
      await ok(['rollout', 'status', 'deploy/web', '--timeout=60s']);
      await ok(apply, LONE);
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/lone', '--timeout=60s');
      await cluster.until('metrics', async () =>
        /lone +\d+m +\d+Mi/.test(await ok(['top', 'pod'])),
      );
      const shape = ({ stdout }: Output) => stdout.replace(/\d+/g, 'N').replace(/ +/g, ' ');
      // What is measured differs from one moment to the next.
      for (const args of [
        ['top', 'pod', '-A', '--sort-by=memory'],
        ['top', 'pod', '--containers', '-l', 'app=web'],
        ['top', 'node'],
      ])
        await cluster.until(`the same ${args.join(' ')}`, async () => {
          const [own, real] = [shape(await mini(args)), shape(await cluster.try(args))];
          if (own === real) return true;
          throw new Error(`${own}\n${real}`);
        });
      const drain = ['drain', 'one'];
      await ok(['cordon', 'one']);
      for (const args of [
        drain,
        [...drain, '--dry-run=client', '--force', '--pod-selector=run=lone'],
      ])
        assert.equal(await mini(args), await cluster.try(args), args.join(' '));
      const held = await mini([...drain, '--force', '--timeout=1s']);
      assert.is(held.code, 1);
      assert.match(held.stderr, 'There are pending nodes to be drained:\n one\n');
      await cluster.kubectl('delete', 'pdb', 'all');
      assert.match(await ok([...drain, '--force']), /pod\/web-\S+ evicted\nnode\/one drained\n$/s);
      assert.is(await ok(['uncordon', 'one']), 'node/one uncordoned\n');

      await host.ok(['ln', '-s', MINI, `${host.dir}/kubectl`]);
      assert.is(await host.ok([`${host.dir}/kubectl`, 'get', 'nodes', '-o', 'name']), 'node/one\n');
      assert.match(await ok(['delete', '-f', '-'], MANIFEST), 'deployment.apps "web" deleted');
      assert.is(await ok(['get', 'deploy,svc', '-o', 'name']), 'service/kubernetes\n');
    },
    TIMEOUT_MS,
  );
});
