/** The smaller groups: RBAC, policy, autoscaling, storage, networking, scheduling, certificates, extensions. */

import * as assert from 'uvu/assert';
import type { ObjectMeta } from '../../../../pkg/api/meta.ts';
import { dnsLabel, qualifiedName } from '../../../../pkg/api/names.ts';
import { suite } from '../../../harness/suite.ts';
import { defaulted, faults, row, updateFaults } from './fixtures.ts';

const RBAC = 'rbac.authorization.k8s.io';
const ROLE_REF = { apiGroup: RBAC, kind: 'Role', name: 'r' };

interface Case {
  readonly name: string;
  readonly body: object;
  readonly metadata?: Partial<ObjectMeta>;
  readonly expected: readonly string[];
}

const WRONG: readonly Case[] = [
  {
    name: 'roles',
    body: { rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] },
    expected: [],
  },
  {
    name: 'roles',
    body: { rules: [{ apiGroups: [''] }] },
    expected: [
      'rules[0].verbs: Required value: verbs must contain at least one value',
      'rules[0].resources: Required value: resource rules must supply at least one resource',
    ],
  },
  {
    name: 'roles',
    body: { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
    expected: [
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ],
  },
  {
    name: 'clusterroles',
    body: { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
    expected: [],
  },
  {
    name: 'rolebindings',
    body: { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'a' }] },
    expected: [],
  },
  {
    name: 'clusterrolebindings',
    body: {
      roleRef: ROLE_REF,
      subjects: [
        { kind: 'ServiceAccount', name: 'a' },
        { kind: 'X', name: 'a' },
      ],
    },
    expected: [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      'subjects[0].namespace: Required value',
      'subjects[1].kind: Unsupported value: "X": supported values: "ServiceAccount", "User", "Group"',
    ],
  },
  {
    name: 'poddisruptionbudgets',
    body: { spec: { minAvailable: '50%', selector: {} } },
    expected: [],
  },
  {
    name: 'poddisruptionbudgets',
    body: { spec: { minAvailable: 'x' } },
    expected: [
      "spec.minAvailable: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ],
  },
  {
    name: 'horizontalpodautoscalers',
    body: {
      spec: { minReplicas: 3, maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'web' } },
    },
    expected: [
      'spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`',
    ],
  },
  {
    name: 'persistentvolumeclaims',
    body: { spec: { accessModes: ['x'], resources: { requests: { storage: '0' } } } },
    expected: [
      'spec.accessModes: Unsupported value: "x": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    ],
  },
  {
    name: 'persistentvolumes',
    body: { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } } },
    expected: ['spec: Required value: must specify a volume type'],
  },
  { name: 'storageclasses', body: {}, expected: ['provisioner: Required value'] },
  {
    name: 'ingresses',
    body: {
      spec: {
        rules: [
          {
            http: {
              paths: [{ path: 'x', pathType: 'Prefix', backend: { service: { name: 's' } } }],
            },
          },
        ],
      },
    },
    expected: [
      'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
      'spec.rules[0].http.paths[0].backend.service: Required value: port name or number is required',
    ],
  },
  {
    name: 'networkpolicies',
    body: { spec: { ingress: [{ from: [{}], ports: [{ port: 0 }] }] } },
    expected: [
      'spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ingress[0].from[0]: Required value: must specify a peer',
    ],
  },
  {
    name: 'priorityclasses',
    body: { value: 2_000_000_000 },
    expected: ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
  },
  {
    name: 'priorityclasses',
    body: { value: 2_000_001_000 },
    metadata: { name: 'system-node-critical' },
    expected: [],
  },
  {
    name: 'runtimeclasses',
    body: {
      handler: 'Not_A_Label',
      overhead: { podFixed: { cpu: '-1', 'a b': '1' } },
      scheduling: { nodeSelector: { 'a b': 'c' }, tolerations: [{ value: 'x' }] },
    },
    expected: [
      `handler: Invalid value: "Not_A_Label": ${dnsLabel('Not_A_Label')}`,
      `overhead.limits[a b]: Invalid value: "a b": ${qualifiedName('a b')}`,
      'overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
      `scheduling.nodeSelector: Invalid value: "a b": ${qualifiedName('a b')}`,
      'scheduling.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ],
  },
  { name: 'runtimeclasses', body: {}, expected: ['handler: Required value'] },
  {
    name: 'customresourcedefinitions',
    body: {
      spec: {
        group: 'example.com',
        names: { plural: 'things', kind: 'Thing' },
        scope: 'Namespaced',
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object' } },
          },
        ],
      },
    },
    expected: ['metadata.name: Invalid value: "web": must be spec.names.plural+"."+spec.group'],
  },
  {
    name: 'validatingwebhookconfigurations',
    body: {
      webhooks: [
        {
          name: 'a.b.c',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: { url: 'http://x' },
        },
      ],
    },
    expected: [
      'webhooks[0].clientConfig.url: Invalid value: "http://x": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
    ],
  },
  {
    name: 'certificatesigningrequests',
    body: {
      spec: { request: Buffer.from('x').toString('base64'), signerName: 'x', usages: ['fly'] },
    },
    expected: [
      'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST',
      'spec.usages[0]: Unsupported value: "fly": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"',
      'spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form "example.com/signer-name"',
    ],
  },
  {
    name: 'clustertrustbundles',
    body: {
      spec: {
        signerName: 'example.com/x',
        trustBundle:
          '-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\ntext\n-----BEGIN KEY-----\neQ==\n-----END KEY-----\n',
      },
    },
    expected: [
      'metadata.name: Invalid value: "web": ClusterTrustBundle for signerName example.com/x must be named with prefix example.com:x:',
      'spec.trustBundle: Invalid value: "<value omitted>": entry 0 does not parse as X.509',
      'spec.trustBundle: Invalid value: "<value omitted>": entry 1 has bad block type: KEY',
    ],
  },
  {
    name: 'podcertificaterequests',
    body: {
      spec: {
        signerName: 'x',
        podName: 'p',
        podUID: 'u',
        nodeName: 'n',
        nodeUID: 'v',
        serviceAccountName: 's',
        maxExpirationSeconds: 60,
        stubPKCS10Request: 'eA==',
      },
      status: {
        certificateChain: 'x',
        conditions: [
          { type: 'Denied', status: 'True' },
          { type: 'Failed', status: 'False' },
        ],
      },
    },
    expected: [
      'spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form "example.com/signer-name"',
      'spec.serviceAccountUID: Required value',
      'spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]',
      'status.conditions: Invalid value: "Failed": there may be at most one condition with type "Issued", "Denied", or "Failed"',
      'status.conditions: Invalid value: "False": Failed must have status "True"',
      'status.certificateChain: Invalid value: "<value omitted>": can only be set together with the condition "Issued"',
    ],
  },
  {
    name: 'leases',
    body: { spec: { leaseDurationSeconds: 0 } },
    expected: ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'],
  },
  {
    name: 'limitranges',
    body: { spec: { limits: [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '2' } }] } },
    expected: [
      'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
      'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": min value 2 is greater than default request value 1',
      'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
    ],
  },
];

suite('validation in the smaller groups', ({ test }) => {
  for (const { name, body, metadata, expected } of WRONG) {
    test(`of ${name} ${JSON.stringify(body).slice(0, 60)}`, () => {
      assert.equal(faults(name, body, metadata), expected);
    });
  }

  test('keeps what may not change', () => {
    assert.equal(
      updateFaults('rolebindings', { roleRef: ROLE_REF }, { roleRef: { ...ROLE_REF, name: 's' } }),
      [
        `roleRef: Invalid value: {"apiGroup":"${RBAC}","kind":"Role","name":"s"}: cannot change roleRef`,
      ],
    );
    assert.equal(updateFaults('priorityclasses', { value: 1 }, { value: 2 }), [
      'value: Forbidden: may not be changed in an update.',
    ]);
    assert.equal(updateFaults('runtimeclasses', { handler: 'a' }, { handler: 'b' }), [
      'handler: Invalid value: "b": field is immutable',
    ]);
    assert.equal(updateFaults('storageclasses', { provisioner: 'a' }, { provisioner: 'b' }), [
      'provisioner: Forbidden: updates to provisioner are forbidden.',
    ]);
    const claim = (storage: string, phase: string) => ({
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
      status: { phase, capacity: { storage: '2Gi' } },
    });
    const bound = claim('3Gi', 'Bound');
    assert.equal(updateFaults('persistentvolumeclaims', bound, claim('4Gi', 'Bound')), []);
    assert.equal(updateFaults('persistentvolumeclaims', bound, claim('1Gi', 'Bound')), [
      'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    ]);
    const pending = claim('3Gi', 'Pending');
    assert.equal(updateFaults('persistentvolumeclaims', pending, claim('4Gi', 'Pending')), [
      'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ]);
  });
});

suite('defaults in the smaller groups', ({ test }) => {
  test('of bindings, policies and limits', () => {
    const binding = {
      roleRef: { kind: 'Role', name: 'r' },
      subjects: [
        { kind: 'User', name: 'a' },
        { kind: 'ServiceAccount', name: 's' },
      ],
    };
    const made = defaulted('rolebindings', binding) as unknown as typeof binding;
    assert.equal(made.roleRef, { kind: 'Role', name: 'r', apiGroup: RBAC });
    assert.equal(made.subjects, [
      { kind: 'User', name: 'a', apiGroup: RBAC },
      { kind: 'ServiceAccount', name: 's' },
    ]);
    const policy = defaulted('networkpolicies', {
      spec: { egress: [{ ports: [{ port: 53 }] }] },
    }) as unknown as { spec: object };
    assert.equal(policy.spec, {
      egress: [{ ports: [{ port: 53, protocol: 'TCP' }] }],
      policyTypes: ['Ingress', 'Egress'],
      podSelector: {},
    });
    const range = defaulted('limitranges', {
      spec: { limits: [{ type: 'Container', max: { cpu: '2000m' }, min: { memory: '1Mi' } }] },
    });
    assert.equal((range as unknown as { spec: { limits: object[] } }).spec.limits[0], {
      type: 'Container',
      max: { cpu: '2' },
      min: { memory: '1Mi' },
      default: { cpu: '2' },
      defaultRequest: { cpu: '2', memory: '1Mi' },
    });
    assert.is(row('limitranges').defaults?.(range), range);
  });

  test('of custom resource definitions', () => {
    const { spec } = defaulted('customresourcedefinitions', {
      spec: {
        group: 'g.c',
        names: { plural: 'things', kind: 'Thing' },
        scope: 'Cluster',
        versions: [],
      },
    }) as unknown as { spec: { names: object; conversion: object } };
    assert.equal(spec.names, {
      plural: 'things',
      kind: 'Thing',
      singular: 'thing',
      listKind: 'ThingList',
    });
    assert.equal(spec.conversion, { strategy: 'None' });
  });
});
