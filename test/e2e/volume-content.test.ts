/**
 * What containers find in volumes whose content comes from the API: names, text, modes, owners, updates; and what
 * emptyDirs let them do. Each pod checks many cases at once.
 */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;
const UID = 1000;
const FS_GROUP = 1001;
const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** The race that Kubernetes' test looks for needs many volumes at once. */
const MANY = 25;

type Volume = Readonly<Record<string, unknown>> & { readonly name: string };

function pod(name: string, volumes: readonly Volume[], options: Options = {}) {
  const { container = {}, spec = {}, metadata = {} } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: {
      terminationGracePeriodSeconds: 1,
      volumes,
      containers: [
        {
          name: 'c',
          image: BUSYBOX,
          command: ['sh', '-c', 'exec sleep 1000'],
          volumeMounts: volumes.map((volume) => ({
            name: volume.name,
            mountPath: `/${volume.name}`,
          })),
          ...container,
        },
      ],
      ...spec,
    },
  };
}

interface Options {
  readonly container?: object;
  readonly spec?: object;
  readonly metadata?: object;
}

const configMap = (name: string, data: object, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
  ...more,
});
const secret = (name: string, stringData: object, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  stringData,
  ...more,
});

/** The same content by its own kind of volume and by a projected one. */
function bothWays(kind: 'configMap' | 'secret', name: string, options: object = {}): Volume[] {
  const short = kind === 'configMap' ? 'cm' : 's';
  const { defaultMode, suffix, ...source } = { defaultMode: undefined, suffix: '', ...options };
  const mode = defaultMode === undefined ? {} : { defaultMode };
  const own = kind === 'configMap' ? { name } : { secretName: name };
  return [
    { name: `${short}${suffix}`, [kind]: { ...own, ...mode, ...source } },
    {
      name: `p${short}${suffix}`,
      projected: { ...mode, sources: [{ [kind]: { name, ...source } }] },
    },
  ];
}

const ITEMS = [
  { key: 'a', path: 'deep/er/a' },
  { key: 'b', path: 'b', mode: 0o400 },
];

/** Of each kind: as it is, with a mode for all files, with names and modes of its own; twice in the same pod. */
const CONTENT: readonly Volume[] = (['configMap', 'secret'] as const).flatMap((kind) => [
  ...bothWays(kind, 'content'),
  ...bothWays(kind, 'content', { suffix: '-again' }),
  ...bothWays(kind, 'content', { suffix: '-mode', defaultMode: 0o400 }),
  ...bothWays(kind, 'content', { suffix: '-items', items: ITEMS }),
]);

const FIELDS = [
  { path: 'name', fieldRef: { fieldPath: 'metadata.name' } },
  { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
  { path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } },
  ...['limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'].map((resource) => ({
    path: resource,
    mode: 0o400,
    resourceFieldRef: {
      containerName: 'c',
      resource,
      divisor: resource.endsWith('cpu') ? '1m' : '1Mi',
    },
  })),
];
const DOWNWARD: readonly Volume[] = [
  { name: 'd', downwardAPI: { items: FIELDS } },
  { name: 'pd', projected: { sources: [{ downwardAPI: { items: FIELDS } }] } },
  { name: 'd-mode', downwardAPI: { defaultMode: 0o400, items: FIELDS.slice(0, 1) } },
  {
    name: 'pd-mode',
    projected: { defaultMode: 0o400, sources: [{ downwardAPI: { items: FIELDS.slice(0, 1) } }] },
  },
];

async function ready(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  const pods = names.map((name) => `pod/${name}`);
  const { code, stderr } = await cluster.try([
    'wait',
    '--for=condition=Ready',
    ...pods,
    '--timeout=60s',
  ]);
  if (code !== 0) throw new Error(`${stderr}\n${await cluster.kubectl('describe', ...pods)}`);
}

const inside = (cluster: Cluster, name: string, script: string) =>
  cluster.kubectl('exec', name, '-c', 'c', '--', 'sh', '-c', script);

/** Runs `before`, then tells `mode uid:gid path` of each path. */
async function stats(
  cluster: Cluster,
  name: string,
  { before, paths }: { readonly before: string; readonly paths: readonly string[] },
): Promise<readonly string[]> {
  const script = `${before}; busybox stat -Lc '%a %u:%g %n' ${paths.join(' ')}`;
  return (await inside(cluster, name, script)).trim().split('\n');
}

const shows = (cluster: Cluster, name: string, script: string, expected: string) =>
  cluster.until(`${script} to show ${expected}`, async () => {
    const text = await inside(cluster, name, script);
    if (text === expected) return true;
    throw new Error(text);
  });

suite('e2e/volume-content', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'configMaps and secrets in volumes, also projected: text, binary, modes, items, several in one pod, root and not, fsGroup',
    async () => {
      const cluster = await shared.get();
      const files = { a: 'text a', b: 'text b' };
      await cluster.kubectl('create', 'namespace', 'other');
      await cluster.apply(
        configMap('content', files, {
          binaryData: { bin: Buffer.from([0xff, 0, 0xfe]).toString('base64') },
        }),
        secret('content', files),
        { ...secret('content', { a: 'other' }), metadata: { name: 'content', namespace: 'other' } },
        pod('root', CONTENT),
        pod(
          'plain',
          CONTENT.filter(({ name }) => !/-mode|-items/.test(name)),
          { spec: { securityContext: { runAsUser: UID } } },
        ),
        pod(
          'grouped',
          (['configMap', 'secret'] as const).flatMap((kind) => [
            ...bothWays(kind, 'content', { defaultMode: 0o440 }),
            ...bothWays(kind, 'content', { suffix: '-items', items: ITEMS }),
          ]),
          { spec: { securityContext: { runAsUser: UID, fsGroup: FS_GROUP } } },
        ),
      );
      await ready(cluster, 'root', 'plain', 'grouped');
      // One look into each pod: an exec takes its time.
      const all = 'for v in cm pcm s ps; do';
      const root = await inside(
        cluster,
        'root',
        `${all} cat /$v/a /$v/b /$v-again/a /$v-mode/b /$v-items/deep/er/a /$v-items/b; echo; ls /$v-items
busybox stat -Lc '%a %u:%g %n' /$v/a /$v-mode/a /$v-items/deep/er/a /$v-items/b; done`,
      );
      const token = `busybox stat -Lc '%a %u:%g' ${TOKEN}; busybox head -c 2 ${TOKEN}`;
      const plain = await inside(cluster, 'plain', `${all} cat /$v/a /$v-again/b; done; ${token}`);
      const grouped = await inside(
        cluster,
        'grouped',
        `${all} cat /$v/a /$v-items/deep/er/a /$v-items/b; echo; busybox stat -Lc '%a %u:%g %n' /$v/a /$v-items/b; done; ${token}; echo; busybox stat -c '%a %u:%g' /cm /s /cm-items/..data/deep`,
      );
      const kinds = ['cm', 'pcm', 's', 'ps'];
      assert.is(
        root,
        kinds
          .map(
            (kind) => `text atext btext atext btext atext b
b
deep
644 0:0 /${kind}/a
400 0:0 /${kind}-mode/a
644 0:0 /${kind}-items/deep/er/a
400 0:0 /${kind}-items/b
`,
          )
          .join(''),
      );
      assert.is(plain, `${'text atext b'.repeat(kinds.length)}600 ${UID}:0\ney`);
      assert.is(
        grouped,
        kinds
          .map(
            (kind) => `text atext atext b
440 0:${FS_GROUP} /${kind}/a
440 0:${FS_GROUP} /${kind}-items/b
`,
          )
          .join('')
          .concat(`640 ${UID}:${FS_GROUP}\ney\n`)
          .concat(['2777', '3777', '2755'].map((mode) => `${mode} 0:${FS_GROUP}\n`).join('')),
      );
      assert.is(
        await inside(cluster, 'root', 'busybox od -An -tx1 /cm/bin; busybox od -An -tx1 /pcm/bin'),
        ' ff 00 fe\n ff 00 fe\n',
      );
      await cluster.kubectl('delete', 'pod', '--wait=false', 'root', 'plain', 'grouped');
    },
    TIMEOUT_MS,
  );

  test(
    'updates, deletions and creations of configMaps and secrets reach running pods; an immutable one takes none',
    async () => {
      const cluster = await shared.get();
      const kinds = ['configMap', 'secret'] as const;
      const names = ['updated', 'deleted', 'created'];
      const make = (name: string, text: string) => [
        configMap(name, { k: text }),
        secret(name, { k: text }),
      ];
      await cluster.apply(
        ...make('updated', 'one'),
        ...make('deleted', 'one'),
        pod(
          'optional',
          kinds.flatMap((kind) =>
            names.flatMap((name) => bothWays(kind, name, { suffix: `-${name}`, optional: true })),
          ),
        ),
      );
      await ready(cluster, 'optional');
      const all =
        'for v in cm pcm s ps; do cat /$v-updated/k; ls /$v-deleted /$v-created | busybox grep -v :; done | busybox tr -d "\\n"';
      await shows(cluster, 'optional', all, 'onekonekonekonek');
      await cluster.apply(...make('updated', 'two'), ...make('created', 'new'));
      await cluster.kubectl('delete', 'configmap/deleted', 'secret/deleted');
      await shows(cluster, 'optional', all, 'twoktwoktwoktwok');
      await shows(
        cluster,
        'optional',
        'for v in cm pcm s ps; do cat /$v-created/k; ls /$v-deleted; done',
        'newnewnewnew',
      );
      for (const object of ['configmap/updated', 'secret/updated']) {
        const data = object.startsWith('c')
          ? '{"data":{"k":"three"}}'
          : '{"data":{"k":"dGhyZWU="}}';
        await cluster.kubectl('patch', object, '-p', '{"immutable":true}');
        await cluster.refused(
          /field is immutable when `immutable` is set/,
          'patch',
          object,
          '-p',
          data,
        );
        await cluster.refused(
          /field is immutable when `immutable` is set/,
          'patch',
          object,
          '-p',
          '{"immutable":false}',
        );
        await cluster.kubectl('delete', object);
      }
      await cluster.kubectl('delete', 'pod', '--wait=false', 'optional');
    },
    TIMEOUT_MS,
  );

  test(
    'the downward API in volumes, also projected: fields, resources, modes, and labels and annotations as they change',
    async () => {
      const cluster = await shared.get();
      const metadata = { labels: { color: 'blue' }, annotations: { note: 'first' } };
      const resources = {
        limits: { cpu: '500m', memory: '64Mi' },
        requests: { cpu: '250m', memory: '32Mi' },
      };
      const all = {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'parts' } },
            { secret: { name: 'parts' } },
            { downwardAPI: { items: FIELDS.slice(0, 1) } },
          ],
        },
      };
      await cluster.apply(
        configMap('parts', { cm: 'from a configMap' }),
        secret('parts', { s: 'from a secret' }),
        pod('limited', [...DOWNWARD, all], { metadata, container: { resources } }),
        pod('unlimited', DOWNWARD),
      );
      await ready(cluster, 'limited', 'unlimited');
      const node = JSON.parse(await cluster.kubectl('get', 'node', 'one', '-o', 'json'));
      const { cpu, memory } = node.status.allocatable;
      const cpus = cpu.endsWith('m') ? cpu.slice(0, -1) : `${Number(cpu) * 1000}`;
      const mebibytes = `${Math.ceil(Number.parseInt(memory, 10) / 1024)}`;
      const limited = await inside(
        cluster,
        'limited',
        `for v in d pd; do cat /$v/name /$v-mode/name; cd /$v
echo $(cat limits.cpu) $(cat limits.memory) $(cat requests.cpu) $(cat requests.memory)
busybox stat -Lc '%a %u:%g %n' /$v/name /$v/limits.cpu /$v-mode/name; busybox grep note annotations; echo; done`,
      );
      const unlimited = await inside(
        cluster,
        'unlimited',
        'for v in d pd; do cd /$v; echo $(cat limits.cpu) $(cat limits.memory); done',
      );
      const ways = ['d', 'pd'];
      for (const way of ways) {
        const part = `limitedlimited500 64 250 32
644 0:0 /${way}/name
400 0:0 /${way}/limits.cpu
400 0:0 /${way}-mode/name
`;
        assert.ok(limited.includes(part), `${limited} has\n${part}`);
      }
      assert.is(limited.split('note="first"').length, ways.length + 1);
      assert.is(unlimited, `${cpus} ${mebibytes}\n`.repeat(ways.length));
      assert.is(
        await inside(cluster, 'limited', 'cat /all/cm /all/s /all/name'),
        'from a configMapfrom a secretlimited',
      );
      await cluster.kubectl('label', 'pod', 'limited', 'color=red', '--overwrite');
      await cluster.kubectl('annotate', 'pod', 'limited', 'note=second', '--overwrite');
      for (const way of ['d', 'pd'])
        await shows(
          cluster,
          'limited',
          `cat /${way}/labels; echo; busybox grep -o 'note=.*' /${way}/annotations`,
          'color="red"\nnote="second"\n',
        );
      await cluster.kubectl('delete', 'pod', '--wait=false', 'limited', 'unlimited');
    },
    TIMEOUT_MS,
  );

  test(
    'emptyDirs on disk and in memory: modes, root and not, shared by containers, of the group',
    async () => {
      const cluster = await shared.get();
      const volumes = [
        { name: 'disk', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory' } },
      ];
      const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
      const other = {
        name: 'other',
        image: BUSYBOX,
        command: ['sh', '-c', 'echo shared > /disk/from; exec sleep 1000'],
        volumeMounts,
      };
      const two = pod('empty', volumes);
      await cluster.apply(
        { ...two, spec: { ...two.spec, containers: [...two.spec.containers, other] } },
        pod('empty-user', volumes, { spec: { securityContext: { runAsUser: UID } } }),
        pod('empty-group', volumes, {
          spec: { securityContext: { runAsUser: UID, fsGroup: FS_GROUP } },
        }),
      );
      await ready(cluster, 'empty', 'empty-user', 'empty-group');
      for (const volume of ['disk', 'memory']) {
        for (const [name, owner] of [
          ['empty', '0:0'],
          ['empty-user', `${UID}:0`],
        ] as const) {
          const made = [0o644, 0o666, 0o777].map((mode) => mode.toString(8));
          const script = made.map(
            (mode) => `echo x > /${volume}/f${mode}; busybox chmod ${mode} /${volume}/f${mode}`,
          );
          const files = made.map((mode) => `/${volume}/f${mode}`);
          assert.equal(
            await stats(cluster, name, {
              before: script.join('; '),
              paths: [`/${volume}`, ...files],
            }),
            [`777 0:0 /${volume}`, ...made.map((mode) => `${mode} ${owner} /${volume}/f${mode}`)],
          );
        }
        const paths = [`/${volume}`, `/${volume}/f`];
        assert.equal(await stats(cluster, 'empty-group', { before: `touch ${paths[1]}`, paths }), [
          `2777 0:${FS_GROUP} /${volume}`,
          `644 ${UID}:${FS_GROUP} /${volume}/f`,
        ]);
      }
      assert.match(await inside(cluster, 'empty', 'mount'), / on \/memory type tmpfs \(rw.*size=/);
      await shows(cluster, 'empty', 'cat /disk/from', 'shared\n');
      await cluster.kubectl('delete', 'pod', '--wait=false', 'empty', 'empty-user', 'empty-group');
    },
    TIMEOUT_MS,
  );

  test(
    'subPath and subPathExpr, also of content from the API and over a file that is there; many volumes in many pods',
    async () => {
      const cluster = await shared.get();
      const volumes: Volume[] = [
        ...bothWays('configMap', 'sub'),
        ...bothWays('secret', 'sub'),
        {
          name: 'd',
          downwardAPI: { items: [{ path: 'deep/name', fieldRef: { fieldPath: 'metadata.name' } }] },
        },
        { name: 'e', emptyDir: {} },
      ];
      const at = (name: string, mountPath: string, more: object) => ({ name, mountPath, ...more });
      const container = {
        env: [{ name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        volumeMounts: [
          ...['cm', 'pcm', 's', 'ps'].map((name) => at(name, `/sub/${name}`, { subPath: 'k' })),
          at('d', '/sub/d', { subPath: 'deep' }),
          at('cm', '/etc/passwd', { subPath: 'k' }),
          at('e', '/all', {}),
          at('e', '/made', { subPath: 'a/b' }),
          at('e', '/named', { subPathExpr: 'of-$(ME)' }),
        ],
      };
      const many = Array.from({ length: MANY }, (_, i) => ({
        name: `v${i}`,
        configMap: { name: 'sub' },
      }));
      const crowd = [0, 1, 2].map((i) =>
        pod(`many${i}`, [...many, { name: 'one', secret: { secretName: 'sub' } }]),
      );
      await cluster.apply(
        configMap('sub', { k: 'content' }),
        secret('sub', { k: 'content' }),
        pod('subs', volumes, { container }),
        ...crowd,
      );
      await ready(cluster, 'subs', 'many0', 'many1', 'many2');
      assert.is(
        await inside(cluster, 'subs', 'cat /sub/cm /sub/pcm /sub/s /sub/ps /etc/passwd'),
        'content'.repeat(5),
      );
      assert.is(await inside(cluster, 'subs', 'cat /sub/d/name'), 'subs');
      assert.is(
        await inside(
          cluster,
          'subs',
          'echo x > /made/f; echo y > /named/f; cat /all/a/b/f /all/of-subs/f',
        ),
        'x\ny\n',
      );
      const each = `for i in $(seq 0 ${MANY - 1}); do cat /v$i/k; done; cat /one/k`;
      for (const { metadata } of crowd)
        assert.is(await inside(cluster, metadata.name, each), 'content'.repeat(MANY + 1));
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
