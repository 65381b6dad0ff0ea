/** What a pod is told of its own name, of its amounts and of its groups. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { resourceValue } from '../../../../pkg/agent/pod/field-ref.ts';
import { hostnameOf, writePodFiles } from '../../../../pkg/agent/pod/pod-files.ts';
import { containerMounts } from '../../../../pkg/agent/volumes/mounts.ts';
import type { Container, Pod, PodSpec } from '../../../../pkg/api/generated/types.ts';
import { userOf } from '../../../../pkg/engine/process.ts';
import { suite } from '../../../harness/suite.ts';

const DOMAIN = 'cluster.local';

function podOf(spec: Partial<PodSpec>, name = 'web'): Pod {
  const metadata = {
    name,
    namespace: 'ns',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec } };
}

/** The line of the pod's own address in its /etc/hosts. */
async function hostsLine(pod: Pod): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'mini-files-'));
  try {
    const dns = { clusterDns: [], clusterDomain: DOMAIN, hostResolver: '' };
    const files = await writePodFiles(directory, {
      pod,
      podIps: ['10.1.2.3'],
      dns,
      warn: () => undefined,
    });
    const text = readFileSync(files.get('/etc/hosts') ?? '', 'utf8');
    return /^10\.1\.2\.3\t(.*)$/m.exec(text)?.[1] ?? '';
  } finally {
    rmSync(directory, { recursive: true });
  }
}

suite('agent: what a pod is told of itself', ({ test }) => {
  const long = 'x'.repeat(70);
  const full = 'web.sub.ns.svc.cluster.local';
  for (const [what, spec, name, line] of [
    ['its name', {}, 'web', 'web'],
    ['with a domain', { subdomain: 'sub' }, 'web', `${full}\tweb`],
    ['as FQDN', { subdomain: 'sub', setHostnameAsFQDN: true }, full, `${full}\tweb`],
    ['as FQDN without a domain', { setHostnameAsFQDN: true }, 'web', 'web'],
    ['overridden', { hostnameOverride: 'a.b', hostname: 'h', subdomain: 'sub' }, 'a.b', 'a.b'],
    ['of its spec', { hostname: 'h' }, 'h', 'h'],
  ] as const) {
    test(`host name: ${what}`, async () => {
      assert.is(hostnameOf(podOf(spec), DOMAIN), name);
      assert.is(await hostsLine(podOf(spec)), line);
    });
  }

  test('host names are cut, full ones refused, and those of the host are the host’s', () => {
    assert.is(hostnameOf(podOf({}, long), DOMAIN), 'x'.repeat(63));
    const cut = podOf({}, `${'x'.repeat(60)}-.-rest`);
    assert.is(hostnameOf(cut, DOMAIN), 'x'.repeat(60));
    assert.throws(
      () => hostnameOf(podOf({ setHostnameAsFQDN: true, subdomain: 'sub' }, long), DOMAIN),
      /^failed to construct FQDN .* is too long \(64 characters is the max, 88 characters requested\)$/,
    );
    assert.is(hostnameOf(podOf({ hostNetwork: true, hostname: 'h' }), DOMAIN), hostname());
  });

  test('limits: of the container, else of the pod, else what the node can give', () => {
    const value = (container: Partial<Container>, spec: Partial<PodSpec>, resource: string) => {
      const allocatable = { cpu: '8', memory: '1Gi', 'ephemeral-storage': '5' };
      const facts = { pod: podOf(spec), podIps: [], node: { hostIps: [], allocatable } };
      return resourceValue(facts, { resource, divisor: '1' }, { name: 'c', ...container });
    };
    const resources = { limits: { cpu: '1500m', 'ephemeral-storage': '2' } };
    assert.is(value({}, {}, 'limits.cpu'), '8');
    assert.is(value({}, { resources }, 'limits.cpu'), '2');
    assert.is(value({ resources: { limits: { cpu: '1' } } }, { resources }, 'limits.cpu'), '1');
    assert.is(value({}, { resources }, 'limits.memory'), String(2 ** 30));
    assert.is(value({}, { resources }, 'limits.ephemeral-storage'), '5');
    assert.is(value({}, { resources }, 'requests.cpu'), '0');
  });

  test('its own group is one of its groups', () => {
    const roots: readonly string[] = [];
    const groups = (security: Parameters<typeof userOf>[0]) =>
      userOf(security, { fallback: '', roots }).additionalGids;
    assert.equal(groups({}), [0]);
    assert.equal(groups({ uid: 1000, gid: 3000, additionalGids: [4000, 3000] }), [3000, 4000]);
  });

  test('a read-only root takes the files that the runtime makes along', async () => {
    const files = new Map(
      ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/termination-log'].map((path) => [
        path,
        '/x',
      ]),
    );
    const readOnly = async (readOnlyRootFilesystem: boolean) => {
      const container = { name: 'c', securityContext: { readOnlyRootFilesystem } };
      const facts = { pod: podOf({}), container, volumes: new Map(), env: new Map(), files };
      const mounts = await containerMounts(facts);
      return mounts.filter((one) => one.isReadOnly).map(({ destination }) => destination);
    };
    assert.equal(await readOnly(false), []);
    assert.equal(await readOnly(true), ['/etc/hostname', '/etc/resolv.conf']);
  });
});
