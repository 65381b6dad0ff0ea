/** Seccomp profiles, masked paths of /proc, groups, privileges and sysctls of pods. */

import * as assert from 'uvu/assert';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;

function pod(name: string, spec: object = {}, securityContext: object = {}) {
  const container = { name: 'c', image: BUSYBOX, command: ['sleep', '1000'], securityContext };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, containers: [container], ...spec },
  };
}

const seccomp = (type: string, localhostProfile?: string) => ({
  seccompProfile: { type, ...(localhostProfile === undefined ? {} : { localhostProfile }) },
});

function sh(cluster: Cluster, name: string, script: string): Promise<string> {
  return cluster.kubectl('exec', name, '--', 'sh', '-c', script);
}

function ready(cluster: Cluster, ...names: readonly string[]): Promise<string> {
  const pods = names.map((name) => `pod/${name}`);
  return cluster.kubectl('wait', '--for=condition=Ready', '--timeout=60s', ...pods);
}

function field(cluster: Cluster, name: string, path: string): Promise<string> {
  return cluster.kubectl('get', 'pod', name, '-o', `jsonpath={${path}}`);
}

/** What /proc says of a process that `exec` started, and of the container's own. */
const STATUS = 'grep -h -e ^Seccomp: -e ^NoNewPrivs: /proc/1/status /proc/self/status | sort -u';

suite('e2e/pod security', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  const profiles = async () => {
    const cluster = await shared.get();
    await cluster.apply(
      pod('plain'),
      pod('default', {}, seccomp('RuntimeDefault')),
      pod('confined', { securityContext: seccomp('Unconfined') }),
      pod('privileged', {}, { privileged: true }),
      pod('admin', {}, { capabilities: { add: ['SYS_ADMIN'] } }),
      pod('strict', {}, { allowPrivilegeEscalation: false, runAsUser: 1000 }),
    );
    await ready(cluster, 'plain', 'default', 'confined', 'privileged', 'admin', 'strict');
    const all = ['plain', 'default', 'confined', 'privileged', 'admin', 'strict'];
    const found = await Promise.all(all.map((name) => sh(cluster, name, STATUS)));
    const filtered = 'NoNewPrivs:\t0\nSeccomp:\t2\n';
    const free = 'NoNewPrivs:\t0\nSeccomp:\t0\n';
    const locked = 'NoNewPrivs:\t1\nSeccomp:\t2\n';
    assert.equal(found, [filtered, filtered, free, free, filtered, locked]);
    // What the capability is for is in the profile then, and is not without it.
    const unshare = 'unshare -m true 2>&1 && echo may';
    assert.match(await sh(cluster, 'admin', unshare), /^may$/m);
    assert.match(await sh(cluster, 'plain', `${unshare} || true`), /not permitted/);
    // Everyday work is not hindered.
    const work =
      'echo x > /f && mv /f /g && ls -l /g | wc -l && sleep 0.1 && chown 1:1 /g && id -u';
    assert.is(await sh(cluster, 'plain', work), '1\n0\n');
  };
  test(
    'filters system calls of all but privileged and unconfined containers',
    profiles,
    TIMEOUT_MS,
  );

  const files = async () => {
    const cluster = await shared.get();
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 18 };
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] };
    const dir = '/var/lib/mini/seccomp/team';
    const write = `mkdir -p ${dir} && echo '${JSON.stringify(profile)}' > ${dir}/no-mkdir.json`;
    const [host] = cluster.hosts;
    assert.ok(host);
    await host.ok(['sh', '-c', write]);
    await cluster.apply(
      pod('local', {}, seccomp('Localhost', 'team/no-mkdir.json')),
      pod('missing', {}, seccomp('Localhost', 'team/none.json')),
    );
    await ready(cluster, 'local');
    assert.match(await sh(cluster, 'local', 'mkdir /x 2>&1 || true'), /cross-device link/);
    const waiting = '.status.containerStatuses[0].state.waiting';
    await cluster.until(
      'the reason',
      async () => (await field(cluster, 'missing', `${waiting}.reason`)) === 'CreateContainerError',
    );
    assert.match(
      await field(cluster, 'missing', `${waiting}.message`),
      /cannot load seccomp profile ".*seccomp\/team\/none.json": ENOENT/,
    );
  };
  test('takes profiles from the node', files, TIMEOUT_MS);

  const rest = async () => {
    const cluster = await shared.get();
    const groups = { runAsUser: 1000, runAsGroup: 1000, supplementalGroups: [4321] };
    const sysctls = (name: string, value: string) => ({
      securityContext: { sysctls: [{ name, value }] },
    });
    await cluster.apply(
      pod('unmasked', { hostUsers: false }, { procMount: 'Unmasked' }),
      pod('own-groups', { securityContext: { ...groups, supplementalGroupsPolicy: 'Strict' } }),
      pod('safe', sysctls('net.ipv4.ip_local_port_range', '30000 30100')),
      pod('shared-memory', sysctls('kernel.shm_rmid_forced', '1')),
      pod('unsafe', sysctls('kernel.msgmax', '65536')),
      pod('armored', { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }),
    );
    await ready(cluster, 'unmasked', 'own-groups', 'safe', 'shared-memory');
    const forced = 'cat /proc/sys/kernel/shm_rmid_forced';
    assert.is(await sh(cluster, 'shared-memory', forced), '1\n');
    const all = ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..'].map((name) => ({
      name,
      value: '1',
    }));
    const odd = pod('odd', { securityContext: { sysctls: all } });
    const { stderr } = await cluster.try(['create', '-f', '-'], { input: JSON.stringify(odd) });
    for (const name of ['foo-', 'bar..'])
      assert.ok(stderr.includes(`Invalid value: "${name}"`), stderr);
    assert.not.match(stderr, /safe-and-unsafe|shmmax/);
    const masked = 'grep -c -e " /proc/" /proc/self/mountinfo || true';
    assert.is(await sh(cluster, 'unmasked', masked), '0\n');
    assert.ok(Number(await sh(cluster, 'safe', masked)) > 3);
    assert.is(await sh(cluster, 'own-groups', 'id -G'), '1000 4321\n');
    const feature = 'jsonpath={.items[0].status.features.supplementalGroupsPolicy}';
    assert.is(await cluster.kubectl('get', 'nodes', '-o', feature), 'true');
    const range = 'cat /proc/sys/net/ipv4/ip_local_port_range';
    assert.match(await sh(cluster, 'safe', range), /^30000\s+30100$/m);
    for (const [name, reason, message] of [
      ['unsafe', 'SysctlForbidden', /forbidden sysctl: "kernel.msgmax" not allowlisted/],
      ['armored', 'AppArmor', /Cannot enforce AppArmor/],
    ] as const) {
      await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', `pod/${name}`);
      assert.is(await field(cluster, name, '.status.reason'), reason);
      assert.match(await field(cluster, name, '.status.message'), message);
    }
  };
  test('unmasks /proc, keeps groups, allows safe sysctls and refuses the rest', rest, TIMEOUT_MS);

  test('leaves nothing', () => shared.close(), TIMEOUT_MS);
});
