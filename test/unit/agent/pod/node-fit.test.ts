/** Which pods a node takes, case by case. */

import * as assert from 'uvu/assert';
import { type FitFacts, misfitOf } from '../../../../pkg/agent/pod/node-fit.ts';
import type {
  Node,
  Pod,
  PodSpec,
  ResourceRequirements,
} from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

const META = { uid: 'u', resourceVersion: '1', creationTimestamp: '' };

function pod(spec: Partial<PodSpec> = {}, resources: ResourceRequirements = {}): Pod {
  const containers = [{ name: 'c', image: 'i', resources }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', ...META },
    spec: { containers, ...spec },
  };
}

const asks = (requests: Readonly<Record<string, string>>) => pod({}, { requests });
const withPort = (hostPort: number, more: object = {}) =>
  pod({ containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...more }] }] });

const taint = { key: 'k', value: 'v', effect: 'NoExecute' };
const node: Node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'one', labels: { disk: 'ssd' }, ...META },
  spec: { taints: [taint, { key: 'other', effect: 'NoSchedule' }] },
};
const ROOM: FitFacts = {
  node: undefined,
  allocatable: { cpu: '2', memory: '1Gi', pods: '2' },
  used: new Map(),
  ports: [],
};
const tolerations = [{ key: 'k', operator: 'Exists' }];

suite('agent: node fit', ({ test }) => {
  const cases: readonly (readonly [string, Pod, Partial<FitFacts>, string?, RegExp?])[] = [
    ['room for all', asks({ cpu: '2', memory: '1Gi' }), {}],
    [
      'CPU',
      asks({ cpu: '1500m' }),
      { used: new Map([['cpu', 1000]]) },
      'OutOfcpu',
      /^Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000$/,
    ],
    [
      'memory',
      asks({ memory: '2Gi' }),
      {},
      'OutOfmemory',
      /memory, requested: 2147483648, used: 0, capacity: 1073741824$/,
    ],
    [
      'their number',
      pod(),
      { used: new Map([['pods', 2]]) },
      'OutOfpods',
      /requested: 1, used: 2, cap/,
    ],
    [
      'the wrong node',
      pod({ nodeSelector: { disk: 'hdd' } }),
      { node },
      'NodeAffinity',
      /^Predicate NodeAffinity failed: node\(s\) didn't match Pod's node affinity\/selector$/,
    ],
    ['the right node', pod({ nodeSelector: { disk: 'ssd' }, tolerations }), { node }],
    ['a taint that drives it away', pod(), { node }, 'TaintToleration', /^Predicate TaintTol/],
    [
      'a port that is taken',
      withPort(80),
      { ports: [{ port: 80, protocol: 'TCP', ip: '10.0.0.1' }] },
      'NodePorts',
      /^Predicate NodePorts failed: node\(s\) didn't have free ports/,
    ],
    [
      'a port of another address',
      withPort(80, { hostIP: '10.0.0.2' }),
      {
        ports: [
          { port: 80, protocol: 'TCP', ip: '10.0.0.1' },
          { port: 80, protocol: 'UDP', ip: '' },
        ],
      },
    ],
  ];
  for (const [title, one, facts, reason, message = /^$/] of cases) {
    test(title, () => {
      const refusal = misfitOf(one, { ...ROOM, ...facts });
      assert.is(refusal?.reason, reason);
      assert.match(refusal?.message ?? '', message);
    });
  }

  test('a static pod asks for room alone', () => {
    const annotations = { 'kubernetes.io/config.source': 'file' };
    const own = pod({ nodeSelector: { disk: 'hdd' } });
    const fixed = { ...own, metadata: { ...own.metadata, annotations } };
    assert.is(misfitOf(fixed, { ...ROOM, node }), undefined);
  });
});
