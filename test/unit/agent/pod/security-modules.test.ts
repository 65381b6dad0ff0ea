/** AppArmor profiles and SELinux labels: who has them, and what a container of a pod gets. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { labelsOf, securityModules } from '../../../../pkg/agent/pod/security-modules.ts';
import type { Pod, SecurityContext } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

function labels(own: SecurityContext, all: Pod['spec']['securityContext'] = {}, annotation = '') {
  const key = 'container.apparmor.security.beta.kubernetes.io/web';
  const container = { name: 'web', image: 'i', securityContext: own };
  return labelsOf(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'p',
        namespace: 'n',
        uid: 'u',
        resourceVersion: '1',
        creationTimestamp: '',
        annotations: annotation === '' ? {} : { [key]: annotation },
      },
      spec: { containers: [container], securityContext: all },
    },
    container,
  );
}
const named = (localhostProfile: string) => ({ type: 'Localhost' as const, localhostProfile });

suite('agent: AppArmor and SELinux', ({ test, cleanup }) => {
  test('are found where the kernel has them', () => {
    const sys = mkdtempSync(join(tmpdir(), 'mini-sys-'));
    cleanup(() => rmSync(sys, { recursive: true }));
    assert.equal(securityModules(sys), { hasAppArmor: false, hasSeLinux: false });
    mkdirSync(join(sys, 'module/apparmor/parameters'), { recursive: true });
    mkdirSync(join(sys, 'fs/selinux'), { recursive: true });
    const enabled = join(sys, 'module/apparmor/parameters/enabled');
    writeFileSync(enabled, 'N\n');
    assert.is(securityModules(sys).hasAppArmor, false);
    writeFileSync(enabled, 'Y\n');
    writeFileSync(join(sys, 'fs/selinux/enforce'), '1');
    assert.equal(securityModules(sys), { hasAppArmor: true, hasSeLinux: true });
  });

  test("a container's profile goes before the annotation, and that before the pod's", () => {
    const all = { appArmorProfile: named('pod') };
    assert.is(labels({}, all).appArmorProfile, 'pod');
    assert.is(labels({}, all, 'localhost/beta').appArmorProfile, 'beta');
    assert.is(labels({ appArmorProfile: named('own') }, all, 'localhost/b').appArmorProfile, 'own');
  });

  test('unconfined and privileged containers have no profile', () => {
    const all = { appArmorProfile: named('pod') };
    assert.equal(labels({ appArmorProfile: { type: 'Unconfined' } }, all), {});
    assert.equal(labels({}, all, 'unconfined'), {});
    assert.equal(labels({ privileged: true }, all), {});
    assert.equal(labels({}), {});
  });

  test('labels take what the options leave open from the policy for containers', () => {
    assert.equal(labels({}, { seLinuxOptions: { level: 's0:c1,c2' } }).seLinux, {
      process: 'system_u:system_r:container_t:s0:c1,c2',
      mount: 'system_u:object_r:container_file_t:s0:c1,c2',
    });
    const own = { seLinuxOptions: { type: 'spc_t' } };
    assert.equal(labels(own, { seLinuxOptions: { level: 's0:c1,c2' } }).seLinux, {
      process: 'system_u:system_r:spc_t:s0',
      mount: 'system_u:object_r:container_file_t:s0',
    });
  });
});
