import * as assert from 'uvu/assert';
import type { Node, Pod, PodSpec, Taint, Toleration } from '../../../pkg/api/generated/types.ts';
import { matchesTerm } from '../../../pkg/api/node-affinity.ts';
import { tolerates, untolerated } from '../../../pkg/api/tolerations.ts';
import { NodeTable } from '../../../pkg/scheduler/node-table.ts';
import { explain } from '../../../pkg/scheduler/place.ts';
import { collides } from '../../../pkg/scheduler/pod-info.ts';
import { SchedulingQueue } from '../../../pkg/scheduler/queue.ts';
import { ResourceNames, requestsOf } from '../../../pkg/scheduler/resources.ts';
import { handClock } from '../../harness/hand-clock.ts';
import { suite } from '../../harness/suite.ts';

const AT = '2026-01-01T00:00:00Z';

function pod(name: string, spec: Partial<PodSpec> = {}, createdAt = AT): Pod {
  const metadata = {
    name,
    namespace: 'default',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: createdAt,
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec } };
}

function node(name: string, allocatable: Readonly<Record<string, string>>): Node {
  const metadata = {
    name,
    uid: name,
    resourceVersion: '1',
    creationTimestamp: AT,
    labels: { zone: 'a', size: '8' },
  };
  return { apiVersion: 'v1', kind: 'Node', metadata, spec: {}, status: { allocatable } };
}

function asking(name: string, cpu: string, restartPolicy?: string) {
  return {
    name,
    resources: { requests: { cpu, memory: '1Mi' } },
    ...(restartPolicy ? { restartPolicy } : {}),
  };
}

const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).join(' ');

suite('requests of pods', ({ test }) => {
  const cases: readonly [string, Partial<PodSpec>, number][] = [
    ['add up over containers', { containers: [asking('a', '100m'), asking('b', '0.2')] }, 300],
    [
      'are those of the largest init container',
      {
        containers: [asking('a', '100m')],
        initContainers: [asking('i', '1'), asking('j', '200m')],
      },
      1000,
    ],
    [
      'include sidecars',
      { containers: [asking('a', '100m')], initContainers: [asking('s', '300m', 'Always')] },
      400,
    ],
    [
      'count an init container beside the sidecars before it',
      {
        containers: [asking('a', '100m')],
        initContainers: [asking('s', '300m', 'Always'), asking('i', '500m')],
      },
      800,
    ],
    ['include overhead', { containers: [asking('a', '100m')], overhead: { cpu: '50m' } }, 150],
    [
      'are the pod-level ones if there are any',
      { containers: [asking('a', '100m')], resources: { requests: { cpu: '2' } } },
      2000,
    ],
  ];
  for (const [title, spec, milli] of cases) {
    test(title, () => assert.is(requestsOf(pod('p', spec), new ResourceNames())[0], milli));
  }
});

suite('tolerations', ({ test }) => {
  const taint: Taint = { key: 'k', value: 'v', effect: 'NoSchedule' };
  const cases: readonly [Toleration, boolean][] = [
    [{ key: 'k', value: 'v' }, true],
    [{ key: 'k', value: 'w' }, false],
    [{ key: 'k', operator: 'Exists' }, true],
    [{ operator: 'Exists' }, true],
    [{ key: 'k', operator: 'Exists', effect: 'NoExecute' }, false],
    [{ key: 'k', value: 'v', effect: 'NoSchedule' }, true],
    [{ value: 'v' }, false],
  ];
  for (const [toleration, expected] of cases) {
    test(`${JSON.stringify(toleration)} ${expected ? 'tolerates' : 'does not tolerate'} k=v`, () => {
      assert.is(tolerates([toleration], taint), expected);
    });
  }

  test('soft taints keep nobody away', () => {
    assert.is(untolerated([{ key: 'k', effect: 'PreferNoSchedule' }], []), undefined);
    assert.is(untolerated([{ key: 'k', effect: 'NoExecute' }], [])?.key, 'k');
  });
});

suite('node affinity', ({ test }) => {
  const cases: readonly [string, string, readonly string[], boolean][] = [
    ['zone', 'In', ['a', 'b'], true],
    ['zone', 'NotIn', ['a'], false],
    ['none', 'NotIn', ['a'], true],
    ['none', 'Exists', [], false],
    ['none', 'DoesNotExist', [], true],
    ['size', 'Gt', ['7'], true],
    ['size', 'Lt', ['7'], false],
    ['zone', 'Gt', ['7'], false],
  ];
  for (const [key, operator, values, expected] of cases) {
    test(`${key} ${operator} ${values.join()} is ${expected}`, () => {
      assert.is(
        matchesTerm({ matchExpressions: [{ key, operator, values }] }, node('n', {})),
        expected,
      );
    });
  }

  test('names match as fields, and an empty term matches nothing', () => {
    const fields = [{ key: 'metadata.name', operator: 'In', values: ['n'] }];
    assert.ok(matchesTerm({ matchFields: fields }, node('n', {})));
    assert.not(matchesTerm({}, node('n', {})));
  });
});

suite('node table', ({ test }) => {
  const cpu = (table: NodeTable) => table.nodes()[0]?.requested[0];
  const bound = (name: string) => pod(name, { nodeName: 'n', containers: [asking('a', '100m')] });

  test('keeps totals as pods come, change and go, whether the node is known or not', () => {
    const table = new NodeTable();
    table.setPod(bound('early'));
    table.setNode(node('n', { cpu: '1', pods: '10' }));
    assert.is(cpu(table), 100);
    table.setPod(bound('late'));
    table.setPod({ ...bound('late'), status: { phase: 'Running' } });
    assert.is(cpu(table), 200);
    table.deletePod('early');
    table.deletePod('early');
    assert.is(cpu(table), 100);
    table.deleteNode('n');
    table.setNode(node('n', { cpu: '1', pods: '10' }));
    assert.is(cpu(table), 100);
  });

  test('an assumption counts until it is forgotten, and not twice when it comes true', () => {
    const table = new NodeTable();
    table.setNode(node('n', { cpu: '1', pods: '10' }));
    table.assume(table.read(pod('a', { containers: [asking('a', '100m')] })), 'n');
    assert.is(cpu(table), 100);
    assert.ok(table.setPod(bound('a')));
    assert.not(table.setPod(bound('a')));
    table.forget('a');
    assert.is(cpu(table), 100);
    table.assume(table.read(pod('b', { containers: [asking('a', '300m')] })), 'n');
    table.forget('b');
    assert.is(cpu(table), 100);
  });

  test('a heartbeat is no change', () => {
    const table = new NodeTable();
    assert.ok(table.setNode(node('n', { cpu: '1' })));
    const beat = {
      ...node('n', { cpu: '1' }),
      status: { allocatable: { cpu: '1' }, conditions: [] },
    };
    assert.not(table.setNode(beat));
    assert.ok(table.setNode(node('n', { cpu: '2' })));
  });

  test('host ports collide by protocol and address', () => {
    const port = { ip: '0.0.0.0', protocol: 'TCP', port: 80 };
    assert.ok(collides(port, { ...port, ip: '10.0.0.1' }));
    assert.not(collides({ ...port, ip: '10.0.0.2' }, { ...port, ip: '10.0.0.1' }));
    assert.not(collides(port, { ...port, protocol: 'UDP' }));
  });
});

suite('scheduling queue', ({ test }) => {
  const make = () => {
    const clock = handClock();
    const queue = new SchedulingQueue({ clock, wake: () => undefined });
    return { clock, queue };
  };

  test('gives out the highest priority first, then the oldest', () => {
    const { queue } = make();
    queue.set(pod('young', {}, '2026-01-01T00:00:05Z'));
    queue.set(pod('old'));
    queue.set(pod('important', { priority: 9 }, '2026-01-01T00:00:09Z'));
    assert.is(names(queue.take(2)), 'important old');
    assert.is(names(queue.take(9)), 'young');
  });

  test('tries again after a change, but not before the backoff', () => {
    const { clock, queue } = make();
    queue.set(pod('a'));
    queue.take(1);
    queue.park('a');
    queue.changed();
    assert.not(queue.hasActive);
    clock.pass(1000);
    assert.is(names(queue.take(1)), 'a');
    queue.park('a');
    clock.pass(60_000);
    assert.not(queue.hasActive);
    queue.changed();
    assert.ok(queue.hasActive);
  });

  test('a change during the attempt is not lost', () => {
    const { clock, queue } = make();
    queue.set(pod('a'));
    queue.take(1);
    queue.changed();
    queue.park('a');
    clock.pass(1000);
    assert.ok(queue.hasActive);
  });

  test('backs off longer with each attempt, ten seconds at most', () => {
    const { clock, queue } = make();
    queue.set(pod('a'));
    const waits = [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
    for (const wait of waits) {
      queue.take(1);
      queue.retryLater('a');
      clock.pass(wait - 1);
      assert.not(queue.hasActive);
      clock.pass(1);
      assert.ok(queue.hasActive);
    }
  });

  test('holds gated pods back and forgets deleted ones', () => {
    const { queue } = make();
    queue.set(pod('gated', { schedulingGates: [{ name: 'g' }] }));
    queue.set(pod('a'));
    queue.delete('a');
    assert.is(queue.size, 0);
    queue.set(pod('gated'));
    assert.is(names(queue.take(9)), 'gated');
  });
});

suite('explanations', ({ test }) => {
  test('count and sort the reasons', () => {
    const reasons = new Map([
      ['node(s) were unschedulable', 1],
      ['Insufficient cpu', 2],
    ]);
    const misfit = { total: 3, reasons, problem: undefined, resolvable: [] };
    assert.is(
      explain(misfit, 'none.'),
      '0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. ' +
        'no new claims to deallocate, preemption: none.',
    );
  });
});
