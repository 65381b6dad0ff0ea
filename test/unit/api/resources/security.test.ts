/** What the security contexts of a pod and of its containers may say. */

import * as assert from 'uvu/assert';
import { suite } from '../../../harness/suite.ts';
import { faults } from './fixtures.ts';

const SYSCTL_FORMAT = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
const ID = 'must be between 0 and 2147483647, inclusive';
const sysctls = (...names: string[]) => ({
  sysctls: names.map((name) => ({ name, value: '1' })),
});

const POD: readonly [string, object, readonly string[]][] = [
  ['safe, slashed and odd sysctls', sysctls('kernel.shm_rmid_forced', 'net/ipv4/x', 'a-b'), []],
  [
    'sysctls that none can be',
    sysctls('foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..', ''),
    [
      `sysctls[0].name: Invalid value: "foo-": must have at most 253 characters and match regex ${SYSCTL_FORMAT}`,
      `sysctls[3].name: Invalid value: "bar..": must have at most 253 characters and match regex ${SYSCTL_FORMAT}`,
      'sysctls[4].name: Required value',
    ],
  ],
  ['a sysctl twice', sysctls('a.b', 'a.b'), ['sysctls[1].name: Duplicate value: "a.b"']],
  [
    'users and groups',
    { runAsUser: 2 ** 31, runAsGroup: -1, fsGroup: 0, supplementalGroups: [1, -2] },
    [
      `runAsUser: Invalid value: 2147483648: ${ID}`,
      `runAsGroup: Invalid value: -1: ${ID}`,
      `supplementalGroups[1]: Invalid value: -2: ${ID}`,
    ],
  ],
  [
    'a policy for groups',
    { supplementalGroupsPolicy: 'Own' },
    ['supplementalGroupsPolicy: Unsupported value: "Own": supported values: "Merge", "Strict"'],
  ],
  ['a profile', { seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } }, []],
  [
    'a profile without a file',
    { seccompProfile: { type: 'Localhost' } },
    ['seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost'],
  ],
  [
    'a profile with a file too many',
    { seccompProfile: { type: 'RuntimeDefault', localhostProfile: 'x' } },
    [
      'seccompProfile.localhostProfile: Invalid value: "x": can only be set when seccomp type is Localhost',
    ],
  ],
  [
    'a profile outside of the folder',
    { seccompProfile: { type: 'Localhost', localhostProfile: '../x' } },
    ['seccompProfile.localhostProfile: Invalid value: "../x": must not contain \'..\''],
  ],
];

const UNMASKED = { procMount: 'Unmasked' };
const CONTAINER: readonly [string, object, object, readonly string[]][] = [
  ['an unmasked /proc with users of its own', { hostUsers: false }, UNMASKED, []],
  [
    'an unmasked /proc with the users of the host',
    {},
    UNMASKED,
    ['procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'],
  ],
  [
    'no privileges and all',
    {},
    { allowPrivilegeEscalation: false, privileged: true },
    [
      'allowPrivilegeEscalation: Invalid value: false: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
    ],
  ],
];

suite('api: security contexts', ({ test }) => {
  for (const [name, securityContext, expected] of POD) {
    test(`of a pod: ${name}`, () => {
      const spec = { containers: [{ name: 'c', image: 'busybox' }], securityContext };
      assert.equal(
        faults('pods', { spec }),
        expected.map((fault) => `spec.securityContext.${fault}`),
      );
    });
  }
  for (const [name, more, securityContext, expected] of CONTAINER) {
    test(`of a container: ${name}`, () => {
      const spec = { ...more, containers: [{ name: 'c', image: 'busybox', securityContext }] };
      assert.equal(
        faults('pods', { spec }),
        expected.map((fault) => `spec.containers[0].securityContext.${fault}`),
      );
    });
  }
});
