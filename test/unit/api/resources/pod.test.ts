/** Pods: defaults, validation, and what may change. */

import * as assert from 'uvu/assert';
import { pullPolicyOf } from '../../../../pkg/api/resources/pod-defaults.ts';
import { qosClass } from '../../../../pkg/api/resources/pod-qos.ts';
import { suite } from '../../../harness/suite.ts';
import { defaulted, faults, row, updateFaults } from './fixtures.ts';

const NO_QUANTITY =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const CONTAINER = { name: 'c', image: 'busybox' };
suite('pod defaults', ({ test }) => {
  test('fill in what Kubernetes fills in', () => {
    const { spec } = defaulted('pods', {
      spec: {
        containers: [
          { ...CONTAINER, ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1000m' } } },
        ],
        volumes: [{ name: 'v' }, { name: 'm', configMap: { name: 'm' } }],
      },
    }) as unknown as { spec: Record<string, unknown> };
    assert.equal(spec, {
      containers: [
        {
          name: 'c',
          image: 'busybox',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
          imagePullPolicy: 'Always',
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      volumes: [
        { name: 'v', emptyDir: {} },
        { name: 'm', configMap: { name: 'm', defaultMode: 420 } },
      ],
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      terminationGracePeriodSeconds: 30,
      securityContext: {},
      enableServiceLinks: true,
    });
  });

  test('leave a template without what only pods get', () => {
    const { spec } = defaulted('deployments', {
      spec: {
        template: { spec: { containers: [{ ...CONTAINER, resources: { limits: { cpu: '1' } } }] } },
      },
    }) as unknown as {
      spec: {
        template: { spec: { enableServiceLinks?: boolean; containers: { resources: object }[] } };
      };
    };
    assert.is(spec.template.spec.enableServiceLinks, undefined);
    assert.equal(spec.template.spec.containers[0]?.resources, { limits: { cpu: '1' } });
  });

  test('pull by tag', () => {
    const cases: readonly [string, string][] = [
      ['busybox', 'Always'],
      ['busybox:latest', 'Always'],
      ['busybox:1.36', 'IfNotPresent'],
      ['localhost:5000/a/b', 'Always'],
      ['localhost:5000/a/b:v1', 'IfNotPresent'],
      ['busybox@sha256:abc', 'IfNotPresent'],
      ['busybox:latest@sha256:abc', 'IfNotPresent'],
    ];
    for (const [image, expected] of cases) assert.is(pullPolicyOf(image), expected, image);
  });

  test('fill in probes', () => {
    const probe = { httpGet: { port: 80 } };
    const { spec } = defaulted('pods', {
      spec: { containers: [{ ...CONTAINER, readinessProbe: probe }] },
    }) as unknown as { spec: { containers: { readinessProbe: object }[] } };
    assert.equal(spec.containers[0]?.readinessProbe, {
      httpGet: { port: 80, path: '/', scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    });
  });

  test('know three qualities of service', () => {
    const both = { cpu: '1', memory: '1Gi' };
    const of = (resources: object) => qosClass({ containers: [{ name: 'c', resources }] });
    assert.is(of({}), 'BestEffort');
    assert.is(of({ requests: { cpu: '1' } }), 'Burstable');
    assert.is(of({ limits: both }), 'Guaranteed');
    assert.is(of({ limits: both, requests: { cpu: '500m', memory: '1Gi' } }), 'Burstable');
  });

  test('give a new pod its phase and drop what the client says of its status', () => {
    const pod = row('pods').prepareForCreate?.(
      defaulted('pods', { spec: { containers: [CONTAINER] }, status: { phase: 'Running' } }),
    );
    assert.equal((pod as unknown as { status: object }).status, {
      phase: 'Pending',
      qosClass: 'BestEffort',
    });
  });
});

/** A change to a valid pod's spec or container, and what is said of it. */
const WRONG: readonly [object, object, readonly string[]][] = [
  [{}, {}, []],
  [{ containers: [] }, {}, ['spec.containers: Required value']],
  [{}, { name: '' }, ['spec.containers[0].name: Required value']],
  [{}, { image: '' }, ['spec.containers[0].image: Required value']],
  [
    { restartPolicy: 'Sometimes' },
    {},
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
  ],
  [
    {},
    { imagePullPolicy: 'x' },
    [
      'spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"',
    ],
  ],
  [
    {},
    { ports: [{ containerPort: 70_000 }] },
    [
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
  ],
  [
    {},
    {
      ports: [
        { containerPort: 1, name: 'a' },
        { containerPort: 2, name: 'a' },
      ],
    },
    ['spec.containers[0].ports[1].name: Duplicate value: "a"'],
  ],
  [{}, { env: [{ value: 'x' }] }, ['spec.containers[0].env[0].name: Required value']],
  [
    {},
    { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } }] },
    [
      'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.foo": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
    ],
  ],
  [
    { volumes: [{ name: 'v', emptyDir: {} }] },
    {
      volumeMounts: [
        { name: 'v', mountPath: '/a', mountPropagation: 'Bidirectional' },
        { name: 'v', mountPath: '/b', recursiveReadOnly: 'Enabled' },
        {
          name: 'v',
          mountPath: '/c',
          readOnly: true,
          recursiveReadOnly: 'IfPossible',
          mountPropagation: 'HostToContainer',
        },
      ],
    },
    [
      'spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers',
      'spec.containers[0].volumeMounts[1].recursiveReadOnly: Forbidden: may only be specified when readOnly is true',
      'spec.containers[0].volumeMounts[2].recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified',
    ],
  ],
  [
    {},
    { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
    ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
  ],
  [
    {
      volumes: [
        {
          name: 'p',
          projected: {
            sources: [
              { clusterTrustBundle: { path: '../x' } },
              { clusterTrustBundle: { path: 'x', name: 'n', labelSelector: {} } },
              { podCertificate: { signerName: 'a.b/c', keyType: 'RSA1024' } },
            ],
          },
        },
      ],
    },
    {},
    [
      'spec.volumes[0].projected.sources[0].clusterTrustBundle.path: Invalid value: "../x": must not contain \'..\'',
      'spec.volumes[0].projected.sources[0].clusterTrustBundle: Required value: either name or signerName must be specified',
      'spec.volumes[0].projected.sources[1].clusterTrustBundle: Invalid value: {"path":"x","name":"n","labelSelector":{}}: labelSelector must be unset when name is specified',
      'spec.volumes[0].projected.sources[2].podCertificate.keyType: Unsupported value: "RSA1024": supported values: "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"',
      'spec.volumes[0].projected.sources[2].podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath',
    ],
  ],
  [
    {
      volumes: [
        { name: 'c', persistentVolumeClaim: { claimName: 'c' } },
        { name: 'e', emptyDir: {} },
      ],
    },
    {
      volumeMounts: [{ name: 'c', mountPath: '/dev/c' }],
      volumeDevices: [
        { name: 'c', devicePath: '/dev/c' },
        { name: 'e', devicePath: '/dev/../e' },
        { name: 'none', devicePath: '' },
        { name: 'none', devicePath: '/dev/c' },
      ],
    },
    [
      'spec.containers[0].volumeDevices[0].name: Invalid value: "c": must not already exist in volumeMounts',
      'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/dev/c": must not already exist as a path in volumeMounts',
      'spec.containers[0].volumeDevices[1].name: Invalid value: "e": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
      'spec.containers[0].volumeDevices[1].devicePath: Invalid value: "/dev/../e": can not contain backsteps (\'..\')',
      'spec.containers[0].volumeDevices[2].name: Not found: "none"',
      'spec.containers[0].volumeDevices[2].devicePath: Required value',
      'spec.containers[0].volumeDevices[3].name: Invalid value: "none": must be unique',
      'spec.containers[0].volumeDevices[3].name: Not found: "none"',
      'spec.containers[0].volumeDevices[3].devicePath: Invalid value: "/dev/c": must be unique',
      'spec.containers[0].volumeDevices[3].devicePath: Invalid value: "/dev/c": must not already exist as a path in volumeMounts',
    ],
  ],
  [
    {},
    { resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } },
    [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ],
  ],
  [
    {},
    { resources: { limits: { cpu: '1KiB' } } },
    [
      `spec.containers[0].resources.limits[cpu]: Invalid value: "1KiB": ${NO_QUANTITY}`,
      `spec.containers[0].resources.requests[cpu]: Invalid value: "1KiB": ${NO_QUANTITY}`,
    ],
  ],
  [
    {},
    { livenessProbe: { exec: { command: ['a'] }, successThreshold: 2 } },
    ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
  ],
  [
    {},
    { livenessProbe: {} },
    ['spec.containers[0].livenessProbe: Required value: must specify a handler type'],
  ],
  [
    { activeDeadlineSeconds: 0 },
    {},
    ['spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive'],
  ],
  [
    {
      volumes: [
        { name: 'a', emptyDir: {} },
        { name: 'a', emptyDir: {} },
      ],
    },
    {},
    ['spec.volumes[1].name: Duplicate value: "a"'],
  ],
  [
    { volumes: [{ name: 'a', emptyDir: {}, hostPath: { path: '/a', type: '' } }] },
    {},
    ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
  ],
  [{ initContainers: [CONTAINER] }, {}, ['spec.initContainers[0].name: Duplicate value: "c"']],
  [{ tolerations: [{ operator: 'Exists' }] }, {}, []],
  [{ ephemeralContainers: [{ name: 'd', image: 'busybox', targetContainerName: 'c' }] }, {}, []],
  [
    {
      ephemeralContainers: [
        { name: 'd', image: 'busybox', targetContainerName: 'x', ports: [{ containerPort: 1 }] },
      ],
    },
    {},
    [
      'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[0].targetContainerName: Not found: "x"',
    ],
  ],
];

suite('pod validation', ({ test }) => {
  test('names the field and words the fault as Kubernetes does', () => {
    for (const [spec, container, expected] of WRONG) {
      const body = { spec: { containers: [{ ...CONTAINER, ...container }], ...spec } };
      assert.equal(faults('pods', body), expected, JSON.stringify(body));
    }
  });

  test('lets an update change the image, add tolerations, and nothing else', () => {
    const from = { spec: { containers: [CONTAINER], nodeName: 'a' } };
    const to = (spec: object, container: object = {}) => ({
      spec: {
        ...from.spec,
        containers: [{ ...CONTAINER, imagePullPolicy: 'Always', ...container }],
        ...spec,
      },
    });
    assert.equal(updateFaults('pods', from, to({}, { image: 'busybox:2' })), []);
    assert.equal(
      updateFaults('pods', from, to({ tolerations: [{ key: 'a', operator: 'Exists' }] })),
      [],
    );
    assert.equal(updateFaults('pods', from, to({ activeDeadlineSeconds: 5 })), []);
    assert.match(
      updateFaults('pods', from, to({}, { command: ['x'] }))[0] ?? '',
      /^spec: Forbidden: pod updates may not change fields other than `spec.containers\[\*\].image`/,
    );
    assert.equal(updateFaults('pods', from, to({ containers: [] })), [
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
  });

  test('lets a resize change CPU and memory, and debug containers only be added', () => {
    const { resize, ephemeralcontainers } = row('pods').validateSubresource ?? {};
    const of = (requests: object, more: object = {}) =>
      defaulted('pods', {
        spec: { containers: [{ ...CONTAINER, resources: { requests } }], ...more },
      });
    const old = of({ cpu: '1' });
    assert.equal(resize?.(of({ cpu: '2', memory: '1Gi' }), old), []);
    assert.is(
      resize?.(of({}), old)[0]?.message,
      'Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing',
    );
    const faults = (now: object, was: object = old) =>
      resize?.(now as typeof old, was as typeof old).map(
        ({ field, message }) => `${field}: ${message}`,
      );
    assert.equal(faults(of({ cpu: '1' }, { hostname: 'x' })), [
      'spec: Forbidden: only cpu and memory resources are mutable',
    ]);
    assert.equal(faults(of({ memory: '1Gi' })), [
      'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
    ]);
    const plain = { name: 'i', image: 'busybox', resources: { requests: { cpu: '1' } } };
    const inits = (more: object) => of({ cpu: '1' }, { initContainers: [{ ...plain, ...more }] });
    const larger = { resources: { requests: { cpu: '2' } } };
    assert.equal(faults(inits(larger), inits({})), [
      'spec: Forbidden: resources for non-sidecar init containers are immutable',
    ]);
    const restartPolicy = 'Always';
    assert.equal(faults(inits({ ...larger, restartPolicy }), inits({ restartPolicy })), []);
    assert.equal(faults(inits({ name: 'j' }), inits({})), [
      'spec.initContainers[0].name: Forbidden: initContainers may not be renamed or reordered on resize',
    ]);
    const named = (...names: string[]) =>
      of({}, { containers: names.map((name) => ({ name, image: 'busybox' })) });
    assert.equal(
      faults(named('b', 'a'), named('a', 'b')),
      [0, 1].map(
        (index) =>
          `spec.containers[${index}].name: Forbidden: containers may not be renamed or reordered on resize`,
      ),
    );
    assert.equal(faults(named('a', 'b'), named('a')), [
      'spec.containers: Forbidden: containers may not be added or removed on resize',
    ]);
    const mirror = { 'kubernetes.io/config.mirror': 'x' };
    const isStatic = { ...old, metadata: { ...old.metadata, annotations: mirror } };
    assert.equal(faults(old, isStatic), [': Forbidden: static pods cannot be resized']);
    const debug = (name: string) => of({}, { ephemeralContainers: [{ name, image: 'busybox' }] });
    assert.equal(ephemeralcontainers?.(debug('d'), of({})), []);
    assert.is(
      ephemeralcontainers?.(debug('e'), debug('d'))[0]?.message,
      'Forbidden: existing ephemeral containers "d" may not be removed',
    );
  });

  test('gives no grace to pods that no agent holds', () => {
    const grace = (spec: object, phase = 'Running') =>
      row('pods').graceSeconds?.(
        defaulted('pods', { spec: { containers: [CONTAINER], ...spec }, status: { phase } }),
      );
    assert.is(grace({}), 0);
    assert.is(grace({ nodeName: 'n' }), 30);
    assert.is(grace({ nodeName: 'n' }, 'Succeeded'), 0);
    assert.is(grace({ nodeName: 'n', terminationGracePeriodSeconds: 5 }), 5);
  });
});
