/** What a pod may not ask for, field by field, and what it asks for as a whole. */

import * as assert from 'uvu/assert';
import { suite } from '../../../harness/suite.ts';
import { defaulted, faults, make, row } from './fixtures.ts';

const CONTAINER = { name: 'c', image: 'busybox:1' };
const SIGNAL = { lifecycle: { stopSignal: 'SIGUSR1' } };
const sleeping = (seconds: number) => ({ lifecycle: { preStop: { sleep: { seconds } } } });
const fileRef = (more: object) => ({
  env: [
    { name: 'A', valueFrom: { fileKeyRef: { volumeName: 'v', path: 'f', key: 'k', ...more } } },
  ],
});
const EMPTY = { volumes: [{ name: 'v', emptyDir: {} }] };
const FILE_REF = 'spec.containers[0].env[0].valueFrom.fileKeyRef';
const resizing = (...policies: readonly [string, string][]) => ({
  resizePolicy: policies.map(([resourceName, restartPolicy]) => ({ resourceName, restartPolicy })),
});
const limited = (limits: object, requests?: object) => ({
  resources: { limits, ...(requests ? { requests } : {}) },
});

/** A change to a pod's spec and its container, and the beginnings of what is said of it. */
const RULES: readonly (readonly [object, object, ...string[]])[] = [
  [{ hostnameOverride: 'a.b', subdomain: 's' }, {}],
  [
    { hostnameOverride: 'a.b', setHostnameAsFQDN: true },
    {},
    'spec.setHostnameAsFQDN: Forbidden: may not be true',
  ],
  [{ hostnameOverride: 'a.b', hostNetwork: true }, {}, 'spec.hostNetwork: Forbidden'],
  [{ hostnameOverride: 'A_b' }, {}, 'spec.hostnameOverride: Invalid value: "A_b": a lowercase'],
  [{ hostnameOverride: 'a'.repeat(65) }, {}, 'spec.hostnameOverride: Too long: may not be more'],
  [{ terminationGracePeriodSeconds: 5 }, sleeping(5)],
  [{}, sleeping(0)],
  [
    { terminationGracePeriodSeconds: 5 },
    sleeping(6),
    'spec.containers[0].lifecycle.preStop.sleep: Invalid value: 6: must be non-negative and less than terminationGracePeriodSeconds (5)',
  ],
  [{}, sleeping(-1), 'spec.containers[0].lifecycle.preStop.sleep: Invalid value: -1'],
  [{ os: { name: 'linux' } }, SIGNAL],
  [{ os: { name: 'linux' } }, { lifecycle: { stopSignal: 'SIGRTMIN+15' } }],
  [
    {},
    SIGNAL,
    'spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`',
  ],
  [
    { os: { name: 'windows' } },
    SIGNAL,
    'spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGUSR1": supported values: "SIGKILL", "SIGTERM"',
  ],
  [
    { os: { name: 'linux' } },
    { lifecycle: { stopSignal: 'USR1' } },
    'spec.containers[0].lifecycle.stopSignal: Unsupported value: "USR1": supported values: "SIGABRT"',
  ],
  [{}, resizing(['cpu', 'NotRequired'], ['memory', 'RestartContainer'])],
  [
    {},
    resizing(['cpu', 'NotRequired'], ['cpu', 'NotRequired']),
    'spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"',
  ],
  [
    {},
    resizing(['disk', 'Maybe']),
    'spec.containers[0].resizePolicy: Unsupported value: "disk"',
    'spec.containers[0].resizePolicy: Unsupported value: "Maybe"',
  ],
  [
    { restartPolicy: 'Never' },
    resizing(['cpu', 'RestartContainer']),
    'spec.containers[0].resizePolicy: Invalid value: "RestartContainer": must be \'NotRequired\'',
  ],
  [limited({ cpu: '1', memory: '1Gi' }), limited({ cpu: '1' }, { memory: '1Gi' })],
  [
    { resources: { requests: { cpu: '100m' } } },
    { resources: { requests: { cpu: '200m' } } },
    'spec.resources.requests[cpu]: Invalid value: "100m": must be greater than or equal to aggregate container requests of 200m',
  ],
  [
    limited({ memory: '100Mi' }),
    limited({ memory: '200Mi' }, { memory: '1Mi' }),
    'spec.resources.containers[0][memory].limits: Invalid value: "200Mi": must be less than or equal to pod limits of 100Mi',
  ],
  [
    limited({ 'ephemeral-storage': '1Gi' }),
    {},
    'spec.resources.limits[ephemeral-storage]: Unsupported value',
    'spec.resources.requests[ephemeral-storage]: Unsupported value',
  ],
  [
    { resources: { claims: [{ name: 'x' }] } },
    {},
    'spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level',
  ],
  [{}, limited({ 'hugepages-2Mi': '4Mi', memory: '1Mi' })],
  [
    {},
    limited({ 'hugepages-2Mi': '4Mi' }),
    'spec.containers[0].resources: Forbidden: HugePages require cpu or memory',
  ],
  [
    {},
    limited({ 'hugepages-2Mi': '3Mi', memory: '1Mi' }),
    'spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": is not positive integer multiple',
    'spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value',
  ],
  [
    {},
    limited({ 'hugepages-x': '3Mi', memory: '1Mi' }),
    'spec.containers[0].resources.limits[hugepages-x]: Invalid value: "hugepages-x"',
    'spec.containers[0].resources.requests[hugepages-x]: Invalid value',
  ],
  [
    {},
    { resources: { requests: { 'a.b/gpu': '1' } } },
    'spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources',
  ],
  [
    {},
    limited({ 'a.b/gpu': '500m' }),
    'spec.containers[0].resources.limits[a.b/gpu]: Invalid value: "500m": must be an integer',
    'spec.containers[0].resources.requests[a.b/gpu]: Invalid value',
  ],
  [{ dnsConfig: { searches: ['.', 'a.b.', '_tcp.x'] } }, {}],
  [
    { dnsConfig: { searches: ['A b'] } },
    {},
    'spec.dnsConfig.searches[0]: Invalid value: "A b": a lowercase RFC 1123 subdomain',
  ],
  [
    { dnsConfig: { searches: Array.from({ length: 33 }, (_, index) => `s${index}`) } },
    {},
    'spec.dnsConfig.searches: Invalid value: ["s0",',
  ],
  [EMPTY, fileRef({})],
  [{}, fileRef({}), `${FILE_REF}.volumeName: Not found: "v"`],
  [
    { volumes: [{ name: 'v', hostPath: { path: '/', type: '' } }] },
    fileRef({}),
    `${FILE_REF}.volumeName: Invalid value: "v": must be the name of an emptyDir volume`,
  ],
  [EMPTY, fileRef({ path: '/f' }), `${FILE_REF}.path: Invalid value: "/f": must be a relative`],
  [EMPTY, fileRef({ path: '../f' }), `${FILE_REF}.path: Invalid value: "../f": must not contain`],
  [EMPTY, fileRef({ key: '' }), `${FILE_REF}.key: Required value`],
  [
    { os: { name: 'linux' } },
    { securityContext: { windowsOptions: { runAsUserName: 'x' } } },
    'spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod',
  ],
  [
    { os: { name: 'windows' }, hostPID: true, securityContext: { runAsUser: 1 } },
    { securityContext: { privileged: true } },
    'spec.hostPID: Forbidden: cannot be set for a windows pod',
    'spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod',
    'spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod',
  ],
  [
    {},
    { securityContext: { appArmorProfile: { type: 'Localhost' } } },
    'spec.containers[0].securityContext.appArmorProfile.localhostProfile: Required value',
  ],
  [
    { securityContext: { appArmorProfile: { type: 'No' } } },
    {},
    'spec.securityContext.appArmorProfile.type: Unsupported value: "No"',
  ],
  [
    {
      hostNetwork: true,
      securityContext: { sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] },
    },
    {},
    'spec.securityContext.sysctls[0].name: Invalid value: "net.ipv4.tcp_syncookies": may not be specified when \'hostNetwork\' is true',
  ],
  [
    { volumes: [{ name: 'v', image: { reference: 'x', pullPolicy: 'No' } }] },
    {},
    'spec.volumes[0].image.pullPolicy: Unsupported value: "No"',
  ],
  [
    {},
    { livenessProbe: { exec: { command: ['a'] }, tcpSocket: { port: 1 } } },
    'spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
  ],
];

suite('pod rules', ({ test }) => {
  test('refuse what Kubernetes refuses, in its words', () => {
    for (const [spec, container, ...expected] of RULES) {
      const body = { spec: { containers: [{ ...CONTAINER, ...container }], ...spec } };
      const found = faults('pods', body);
      assert.is(found.length, expected.length, `${JSON.stringify(body)}: ${found.join('\n')}`);
      for (const [index, words] of expected.entries())
        assert.ok(found[index]?.startsWith(words), `${found[index]} does not begin with ${words}`);
    }
  });

  test('let debug containers be added, not created', () => {
    const create = (spec: object) =>
      row('pods')
        .validateCreate?.(make('pods', { spec }))
        .map(({ field }) => field);
    assert.equal(create({ containers: [CONTAINER] }), []);
    assert.equal(create({ containers: [CONTAINER], ephemeralContainers: [CONTAINER] }), [
      'spec.ephemeralContainers',
    ]);
  });

  test('give a pod with limits the requests of its containers, else its limits', () => {
    const requestsOf = (resources: object, spec: object) => {
      const pod = defaulted('pods', { spec: { containers: [CONTAINER], ...spec, resources } });
      return (pod as unknown as { spec: { resources: { requests?: object } } }).spec.resources
        .requests;
    };
    const limits = { cpu: '2', memory: '1Gi' };
    assert.equal(requestsOf({ limits }, {}), limits);
    const containers = [
      { ...CONTAINER, resources: { requests: { cpu: '250m' } } },
      { ...CONTAINER, name: 'd', resources: { limits: { cpu: '0.5' } } },
    ];
    assert.equal(requestsOf({ limits }, { containers }), { cpu: '750m', memory: '1Gi' });
    const asks = (name: string, cpu: string, more: object = {}) => ({
      ...CONTAINER,
      name,
      resources: { requests: { cpu } },
      ...more,
    });
    const initContainers = [asks('s', '1', { restartPolicy: 'Always' }), asks('i', '900m')];
    const all = { containers, initContainers };
    assert.equal(requestsOf({ limits }, all), { cpu: '1900m', memory: '1Gi' });
    assert.equal(requestsOf({ limits, requests: { cpu: '2' } }, all), limits);
    assert.equal(requestsOf({ requests: { cpu: '2' } }, {}), { cpu: '2' });
  });
});
