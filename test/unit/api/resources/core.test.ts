/** Services, config, nodes, events and the rest of core: defaults, validation and tables. */

import * as assert from 'uvu/assert';
import type { ObjectMeta } from '../../../../pkg/api/meta.ts';
import { suite } from '../../../harness/suite.ts';
import { cells, defaulted, faults, headers, make, row, updateFaults } from './fixtures.ts';

interface Any {
  readonly metadata: ObjectMeta;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly data?: unknown;
  readonly stringData?: unknown;
  readonly type?: unknown;
}

const view = (object: object | undefined): Any => object as Any;

suite('services', ({ test }) => {
  test('get the defaults of their type', () => {
    const of = (spec: object) => view(defaulted('services', { spec })).spec;
    assert.equal(of({ ports: [{ port: 80 }] }), {
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
      internalTrafficPolicy: 'Cluster',
    });
    assert.is(of({ type: 'NodePort' })['externalTrafficPolicy'], 'Cluster');
    assert.is(of({ type: 'LoadBalancer' })['allocateLoadBalancerNodePorts'], true);
    assert.equal(of({ clusterIP: 'None' })['clusterIPs'], ['None']);
    assert.equal(of({ sessionAffinity: 'ClientIP' })['sessionAffinityConfig'], {
      clientIP: { timeoutSeconds: 10_800 },
    });
    assert.is(of({ type: 'ExternalName' })['internalTrafficPolicy'], undefined);
  });

  test('are checked', () => {
    const port = { port: 80 };
    const cases: readonly [object, readonly string[]][] = [
      [{ ports: [port] }, []],
      [{ clusterIP: 'None' }, []],
      [{}, ['spec.ports: Required value']],
      [
        { ports: [port, { port: 81 }] },
        ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
      ],
      [
        { ports: [{ port: 0 }] },
        [
          'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
          'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
        ],
      ],
      [
        { ports: [port], type: 'X' },
        [
          'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
        ],
      ],
      [
        { ports: [{ ...port, nodePort: 30_000 }] },
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
      ],
      [{ type: 'ExternalName' }, ['spec.externalName: Required value']],
      [
        { ports: [port], externalIPs: ['x'] },
        [
          'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ],
      ],
    ];
    for (const [spec, expected] of cases)
      assert.equal(faults('services', { spec }), expected, JSON.stringify(spec));
  });

  test('keep their address, and what was allocated when a replacement leaves it out', () => {
    const old = {
      ports: [{ port: 80, nodePort: 30_080 }],
      type: 'NodePort',
      clusterIP: '10.43.0.7',
    };
    assert.equal(
      updateFaults('services', { spec: old }, { spec: { ...old, clusterIP: '10.43.0.8' } }),
      ['spec.clusterIPs[0]: Invalid value: ["10.43.0.8"]: may not change once set'],
    );
    const next = defaulted('services', { spec: { ports: [{ port: 80 }], type: 'NodePort' } });
    const { spec } = view(
      row('services').prepareForUpdate?.(next, defaulted('services', { spec: old })),
    );
    assert.is(spec['clusterIP'], '10.43.0.7');
    assert.equal(spec['ports'], [{ port: 80, protocol: 'TCP', targetPort: 80, nodePort: 30_080 }]);
  });

  test('print their addresses and ports', () => {
    assert.equal(headers('services', true), [
      'NAME',
      'TYPE',
      'CLUSTER-IP',
      'EXTERNAL-IP',
      'PORT(S)',
      'AGE',
      'SELECTOR',
    ]);
    const cluster = make('services', {
      spec: {
        type: 'ClusterIP',
        clusterIP: '10.43.0.7',
        ports: [{ port: 80, protocol: 'TCP' }],
        selector: { app: 'web' },
      },
    });
    assert.equal(cells('services', cluster, true), [
      'web',
      'ClusterIP',
      '10.43.0.7',
      '<none>',
      '80/TCP',
      '90s',
      'app=web',
    ]);
    const balanced = {
      type: 'LoadBalancer',
      clusterIP: '10.43.0.7',
      ports: [{ port: 80, nodePort: 30_080, protocol: 'TCP' }],
    };
    assert.equal(cells('services', make('services', { spec: balanced })).slice(3, 5), [
      '<pending>',
      '80:30080/TCP',
    ]);
    const status = { loadBalancer: { ingress: [{ ip: '192.168.1.2' }] } };
    assert.is(cells('services', make('services', { spec: balanced, status }))[3], '192.168.1.2');
    const external = make('services', {
      spec: { type: 'ExternalName', externalName: 'example.com' },
    });
    assert.equal(cells('services', external).slice(1, 5), [
      'ExternalName',
      '<none>',
      'example.com',
      '<none>',
    ]);
  });
});

suite('config and accounts', ({ test }) => {
  test('secrets keep text as data', () => {
    const made = view(
      row('secrets').prepareForCreate?.(
        defaulted('secrets', { stringData: { a: 'x' }, data: { b: 'eQ==' } }),
      ),
    );
    assert.equal(made.data, { a: 'eA==', b: 'eQ==' });
    assert.is(made.type, 'Opaque');
    assert.is(made.stringData, undefined);
  });

  test('secrets and config maps are checked', () => {
    const tls = { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } };
    assert.equal(faults('secrets', tls), ['data[tls.key]: Required value']);
    assert.match(
      faults('configmaps', { data: { 'a b': '' } })[0] ?? '',
      /^data\[a b\]: Invalid value: "a b": a valid config key/,
    );
    assert.equal(faults('configmaps', { data: { a: 'x'.repeat(1024 * 1024 + 1) } }), [
      ': Too long: may not be more than 1048576 bytes',
    ]);
    assert.equal(
      updateFaults(
        'configmaps',
        { immutable: true, data: { a: '1' } },
        { immutable: true, data: { a: '2' } },
      ),
      ['data: Forbidden: field is immutable when `immutable` is set'],
    );
    assert.equal(updateFaults('secrets', {}, { type: 'a' }), [
      'type: Invalid value: "a": field is immutable',
    ]);
  });

  test('print what they hold', () => {
    assert.equal(
      cells('configmaps', make('configmaps', { data: { a: '' }, binaryData: { b: '' } })),
      ['web', 2, '90s'],
    );
    assert.equal(cells('secrets', make('secrets', { type: 'Opaque', data: { a: '' } })), [
      'web',
      'Opaque',
      1,
      '90s',
    ]);
    assert.equal(headers('serviceaccounts'), ['NAME', 'AGE']);
    assert.equal(headers('roles'), ['NAME', 'CREATED AT']);
  });

  test('namespaces are labelled, active, and kept by their finalizer', () => {
    const made = row('namespaces').prepareForCreate?.(defaulted('namespaces', {}));
    assert.equal(view(made).metadata.labels, { 'kubernetes.io/metadata.name': 'web' });
    assert.equal(view(made).spec, { finalizers: ['kubernetes'] });
    assert.equal(cells('namespaces', make('namespaces', { status: { phase: 'Active' } })), [
      'web',
      'Active',
      '90s',
    ]);
  });
});

suite('nodes', ({ test }) => {
  test('print readiness, roles and addresses', () => {
    const node = make(
      'nodes',
      {
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: {
            kubeletVersion: 'v1.36.0',
            osImage: 'Debian',
            kernelVersion: '6.18',
            containerRuntimeVersion: 'mini://1',
          },
        },
      },
      {
        labels: {
          'node-role.kubernetes.io/control-plane': 'true',
          'node-role.kubernetes.io/agent': '',
        },
      },
    );
    assert.equal(headers('nodes', true), [
      'NAME',
      'STATUS',
      'ROLES',
      'AGE',
      'VERSION',
      'INTERNAL-IP',
      'EXTERNAL-IP',
      'OS-IMAGE',
      'KERNEL-VERSION',
      'CONTAINER-RUNTIME',
    ]);
    assert.equal(cells('nodes', node, true), [
      'web',
      'Ready,SchedulingDisabled',
      'agent,control-plane',
      '90s',
      'v1.36.0',
      '10.0.0.1',
      '<none>',
      'Debian',
      '6.18',
      'mini://1',
    ]);
    assert.equal(cells('nodes', make('nodes', { spec: {} })).slice(1, 3), ['Unknown', '<none>']);
  });

  test('may be tainted once per key and effect', () => {
    const taint = { key: 'a', effect: 'NoSchedule' };
    assert.equal(faults('nodes', { spec: { taints: [taint] } }), []);
    assert.equal(faults('nodes', { spec: { taints: [taint, taint] } }), [
      'spec.taints[1]: Duplicate value: "a:NoSchedule"',
    ]);
    assert.equal(faults('nodes', { spec: { taints: [{ key: 'a', effect: 'x' }] } }), [
      'spec.taints[0].effect: Unsupported value: "x": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ]);
  });
});

suite('events', ({ test }) => {
  const CORE = {
    involvedObject: {
      kind: 'Pod',
      name: 'p',
      namespace: 'default',
      fieldPath: 'spec.containers{c}',
    },
    reason: 'Pulled',
    message: 'Pulled image\n',
    type: 'Normal',
    source: { component: 'kubelet', host: 'n1' },
    firstTimestamp: '2025-12-31T23:55:00Z',
    lastTimestamp: '2025-12-31T23:59:00Z',
    count: 3,
  };

  test('print in the order of kubectl', () => {
    assert.equal(headers('events'), ['LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE']);
    assert.equal(cells('events', make('events', CORE), true), [
      '60s',
      'Normal',
      'Pulled',
      'pod/p',
      'spec.containers{c}',
      'kubelet, n1',
      'Pulled image',
      '5m',
      '3',
      'web',
    ]);
  });

  test('are the same objects in both groups', () => {
    const other = row('events.events.k8s.io');
    const stored = make('events', CORE);
    const shown = other.storage?.fromStorage(stored) as unknown as Readonly<
      Record<string, unknown>
    >;
    assert.is(shown['note'], 'Pulled image\n');
    assert.is(shown['apiVersion'], 'events.k8s.io/v1');
    assert.equal(shown['regarding'], CORE.involvedObject);
    const back = other.storage?.toStorage(shown as never) as unknown as Readonly<
      Record<string, unknown>
    >;
    for (const [field, value] of Object.entries(CORE)) assert.equal(back[field], value, field);
    assert.is(back['apiVersion'], 'v1');
  });

  test('are found by what they are about', () => {
    const { fields = {} } = row('events');
    const event = make('events', CORE);
    assert.is(fields['involvedObject.name']?.(event), 'p');
    assert.is(fields['involvedObject.uid']?.(event), '');
    assert.is(fields['source']?.(event), 'kubelet');
  });
});
