/** What a node refuses for good, in the kubelet's words. */

import * as assert from 'uvu/assert';
import { refusedFor } from '../../../../pkg/agent/pod/refused.ts';
import type { Pod, PodSpec } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

function podOf(spec: Partial<PodSpec>, annotations: Readonly<Record<string, string>> = {}): Pod {
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
    annotations,
  };
  const containers = [{ name: 'web', image: 'i' }];
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers, ...spec } };
}

const sysctl = (name: string) => ({ securityContext: { sysctls: [{ name, value: '1' }] } });
const ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/web';
const NO_APPARMOR = 'Cannot enforce AppArmor: AppArmor is not enabled on this node';
const NONE = { hasAppArmor: false, hasSeLinux: false };
const BOTH = { hasAppArmor: true, hasSeLinux: true };

suite('agent: what a node refuses', ({ test }) => {
  for (const [spec, reason, message] of [
    [
      sysctl('kernel/msgmax'),
      'SysctlForbidden',
      'forbidden sysctl: "kernel.msgmax" not allowlisted',
    ],
    [
      { ...sysctl('net.ipv4.tcp_syncookies'), hostNetwork: true },
      'SysctlForbidden',
      'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
    ],
    [
      { ...sysctl('kernel.shm_rmid_forced'), hostIPC: true },
      'SysctlForbidden',
      'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
    ],
    [{ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }, 'AppArmor', NO_APPARMOR],
  ] as const)
    test(`refuses ${JSON.stringify(spec)}`, () => {
      assert.equal(refusedFor(podOf(spec), [], NONE), { reason, message });
    });

  test('knows AppArmor annotations', () => {
    const refusal = { reason: 'AppArmor', message: NO_APPARMOR };
    assert.equal(refusedFor(podOf({}, { [ANNOTATION]: 'runtime/default' }), [], NONE), refusal);
    assert.is(refusedFor(podOf({}, { [ANNOTATION]: 'unconfined' }), [], NONE), undefined);
  });

  test('takes AppArmor profiles by name where the kernel has AppArmor', () => {
    const named = { type: 'Localhost', localhostProfile: 'web' } as const;
    const pod = podOf({ securityContext: { appArmorProfile: named } });
    assert.is(refusedFor(pod, [], NONE)?.message, NO_APPARMOR);
    assert.is(refusedFor(pod, [], BOTH), undefined);
    const byDefault = podOf({}, { [ANNOTATION]: 'runtime/default' });
    assert.match(refusedFor(byDefault, [], BOTH)?.message ?? '', /has no default profile/);
  });

  test('takes what is safe', () => {
    for (const spec of [sysctl('net.ipv4.tcp_syncookies'), sysctl('kernel/shm_rmid_forced'), {}])
      assert.is(refusedFor(podOf(spec), [], NONE), undefined);
    const securityContext = { appArmorProfile: { type: 'Unconfined' } } as const;
    assert.is(refusedFor(podOf({ securityContext }), [], NONE), undefined);
  });

  test('takes unsafe sysctls that the node was told to allow, and no others', () => {
    const allowed = ['net.core.somaxconn', 'kernel.msg*'];
    for (const name of ['net.core.somaxconn', 'kernel.msgmax', 'kernel/msgmnb'])
      assert.is(refusedFor(podOf(sysctl(name)), allowed), undefined);
    for (const name of ['net.core.somaxconns', 'kernel.sem'])
      assert.is(refusedFor(podOf(sysctl(name)), allowed)?.reason, 'SysctlForbidden');
    const onHost = { ...sysctl('net.core.somaxconn'), hostNetwork: true };
    assert.match(refusedFor(podOf(onHost), allowed)?.message ?? '', /host net enabled/);
  });
});
