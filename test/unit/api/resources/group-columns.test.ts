/** What `kubectl get` prints of the resources of the smaller groups. */

import * as assert from 'uvu/assert';
import { suite } from '../../../harness/suite.ts';
import { cells, make } from './fixtures.ts';

const ROLE_REF = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' };

const TABLES: readonly [string, object, readonly unknown[]][] = [
  [
    'rolebindings',
    { roleRef: ROLE_REF, subjects: [{ kind: 'ServiceAccount', name: 's', namespace: 'n' }] },
    ['web', 'Role/r', '90s', '', '', 'n/s'],
  ],
  [
    'poddisruptionbudgets',
    { spec: { minAvailable: 1 }, status: { disruptionsAllowed: 2 } },
    ['web', '1', 'N/A', 2, '90s'],
  ],
  [
    'storageclasses',
    { provisioner: 'p', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
    ['web', 'p', 'Delete', 'Immediate', 'false', '90s'],
  ],
  [
    'persistentvolumeclaims',
    {
      spec: { volumeName: 'v', storageClassName: 'sc', volumeMode: 'Filesystem' },
      status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] },
    },
    ['web', 'Bound', 'v', '1Gi', 'RWO', 'sc', '<unset>', '90s', 'Filesystem'],
  ],
  [
    'ingresses',
    { spec: { ingressClassName: 'c', rules: [{ host: 'a.b' }], tls: [{}] } },
    ['web', 'c', 'a.b', '', '80, 443', '90s'],
  ],
  [
    'endpoints',
    {
      subsets: [
        {
          addresses: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }],
          ports: [{ port: 80 }, { port: 81 }],
        },
      ],
    },
    ['web', '10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more...', '90s'],
  ],
  [
    'endpointslices',
    { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ port: 80 }] },
    ['web', 'IPv4', '80', '10.0.0.1', '90s'],
  ],
  ['leases', { spec: { holderIdentity: 'a' } }, ['web', 'a', '90s']],
  ['priorityclasses', { value: 5, preemptionPolicy: 'Never' }, ['web', 5, 'false', '90s', 'Never']],
  ['runtimeclasses', { handler: 'runc' }, ['web', 'runc', '90s']],
  [
    'networkpolicies',
    { spec: { podSelector: { matchLabels: { a: 'b' } } } },
    ['web', 'a=b', '90s'],
  ],
  ['customresourcedefinitions', { spec: {} }, ['web', '2025-12-31T23:58:30Z']],
  [
    'apiservices',
    { spec: {}, status: { conditions: [{ type: 'Available', status: 'False', reason: 'X' }] } },
    ['web', 'Local', 'False (X)', '90s'],
  ],
  [
    'certificatesigningrequests',
    {
      spec: { signerName: 'a.b/c', username: 'u' },
      status: { certificate: 'x', conditions: [{ type: 'Approved', status: 'True' }] },
    },
    ['web', '90s', 'a.b/c', 'u', '<none>', 'Approved,Issued'],
  ],
  [
    'resourcequotas',
    { status: { hard: { pods: '4', 'limits.cpu': '2' }, used: { pods: '1' } } },
    ['web', 'pods: 1/4', 'limits.cpu: 0/2', '90s'],
  ],
];

suite('columns in the smaller groups', ({ test }) => {
  for (const [name, body, expected] of TABLES) {
    test(`of ${name}`, () => assert.equal(cells(name, make(name, body), true), expected));
  }
});
