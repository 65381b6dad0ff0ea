/** What a node refuses to run, and in which words. */

import * as assert from 'uvu/assert';
import { unsupportedIn } from '../../../../pkg/agent/pod/unsupported.ts';
import type { Container, Pod, PodSpec, Volume } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

function podOf(spec: Partial<PodSpec>): Pod {
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
  };
  const containers = [{ name: 'web', image: 'i' }];
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers, ...spec } };
}

const withContainer = (more: Partial<Container>): Partial<PodSpec> => ({
  containers: [{ name: 'web', image: 'i', ...more }],
});
const withVolume = (source: Omit<Volume, 'name'>): Partial<PodSpec> => ({
  volumes: [{ name: 'v', ...source }],
});

const REFUSED: readonly (readonly [Partial<PodSpec>, RegExp])[] = [
  [{ os: { name: 'windows' } }, /^spec os.name is not supported by this node: /],
  [{ resourceClaims: [{ name: 'gpu' }] }, /resourceClaims/],
  [{ securityContext: { seLinuxOptions: { level: 's0' } } }, /spec.securityContext seLinuxOptions/],
  [{ securityContext: { windowsOptions: { hostProcess: true } } }, /windowsOptions/],
  [
    withContainer({ resources: { claims: [{ name: 'gpu' }] } }),
    /^container "web" resources.claims is not supported by this node: /,
  ],
  [
    { ...withContainer({ volumeDevices: [{ name: 'v', devicePath: '/x' }] }), hostUsers: false },
    /volumeDevices .*user namespace/,
  ],
  [withContainer({ resources: { claims: [{ name: 'gpu' }] } }), /resources.claims/],
  [{ initContainers: [{ name: 'i', resources: { claims: [{ name: 'c' }] } }] }, /"i" resources/],
  [withVolume({ nfs: { server: 's', path: '/' } }), /^volume "v" nfs/],
  [withVolume({ csi: { driver: 'd' } }), /volume "v" csi/],
  [withVolume({ emptyDir: { medium: 'Floppy' } }), /emptyDir.medium: Floppy/],
];

const RUN: readonly Partial<PodSpec>[] = [
  { os: { name: 'linux' }, hostUsers: true, shareProcessNamespace: false },
  { hostUsers: false, shareProcessNamespace: true },
  withContainer({
    volumeMounts: [{ name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly: 'Enabled' }],
  }),
  { securityContext: { seccompProfile: { type: 'Unconfined' }, seLinuxOptions: {} } },
  { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] } },
  withContainer({ ports: [{ containerPort: 80, hostPort: 80 }] }),
  withContainer({ ports: [{ containerPort: 80 }], securityContext: { procMount: 'Default' } }),
  withContainer({ volumeDevices: [{ name: 'v', devicePath: '/dev/x' }] }),
  withVolume({ emptyDir: { medium: 'Memory' } }),
  withVolume({ emptyDir: { medium: 'HugePages-2Mi' } }),
  withVolume({ persistentVolumeClaim: { claimName: 'c' } }),
  withVolume({
    projected: {
      sources: [{ serviceAccountToken: { path: 'token' } }, { clusterTrustBundle: { path: 'p' } }],
    },
  }),
];

suite('agent: what a node does not support', ({ test }) => {
  for (const [spec, message] of REFUSED) {
    test(`refuses ${JSON.stringify(spec)}`, () => {
      const [first, ...others] = unsupportedIn(podOf(spec));
      assert.match(first ?? '', message);
      assert.equal(others, []);
    });
  }

  test('runs what it has', () => {
    for (const spec of RUN) assert.equal(unsupportedIn(podOf(spec)), [], JSON.stringify(spec));
  });

  test('names everything that is wrong, of the pod and of each container', () => {
    const spec = {
      resourceClaims: [{ name: 'gpu' }],
      ...withContainer({ resources: { claims: [{ name: 'c' }] } }),
    };
    assert.is(unsupportedIn(podOf(spec)).length, 2);
  });
});
