/** What `kubectl get pods` prints of a pod. */

import * as assert from 'uvu/assert';
import { suite } from '../../../harness/suite.ts';
import { cells, headers, make } from './fixtures.ts';

const CONTAINER = { name: 'c', image: 'busybox' };
const DONE = {
  terminated: { exitCode: 0, reason: 'Completed', finishedAt: '2025-12-31T23:59:00Z' },
};
const RUNNING = { running: { startedAt: '2025-12-31T23:59:00Z' } };

interface Given {
  readonly spec?: object;
  readonly status: object;
  readonly deletionTimestamp?: string;
}

function status(name: string, state: object, more: object = {}): object {
  return { name, image: 'i', imageID: '', ready: false, restartCount: 0, state, ...more };
}

/** What is given, and READY, STATUS, RESTARTS. */
const PRINTED: readonly [string, Given, readonly string[]][] = [
  ['pending', { status: { phase: 'Pending' } }, ['0/1', 'Pending', '0']],
  [
    'being created',
    {
      status: {
        phase: 'Pending',
        containerStatuses: [status('c', { waiting: { reason: 'ContainerCreating' } })],
      },
    },
    ['0/1', 'ContainerCreating', '0'],
  ],
  [
    'running',
    { status: { phase: 'Running', containerStatuses: [status('c', RUNNING, { ready: true })] } },
    ['1/1', 'Running', '0'],
  ],
  [
    'crashing',
    {
      status: {
        phase: 'Running',
        containerStatuses: [
          status(
            'c',
            { waiting: { reason: 'CrashLoopBackOff' } },
            {
              restartCount: 3,
              lastState: { terminated: { exitCode: 1, finishedAt: '2025-12-31T23:58:00Z' } },
            },
          ),
        ],
      },
    },
    ['0/1', 'CrashLoopBackOff', '3 (2m ago)'],
  ],
  [
    'ended',
    { status: { phase: 'Succeeded', containerStatuses: [status('c', DONE)] } },
    ['0/1', 'Completed', '0'],
  ],
  [
    'failed with an exit code',
    {
      status: {
        phase: 'Failed',
        containerStatuses: [status('c', { terminated: { exitCode: 3 } })],
      },
    },
    ['0/1', 'ExitCode:3', '0'],
  ],
  [
    'killed by a signal',
    {
      status: {
        phase: 'Failed',
        containerStatuses: [status('c', { terminated: { exitCode: 137, signal: 9 } })],
      },
    },
    ['0/1', 'Signal:9', '0'],
  ],
  [
    'initializing',
    {
      spec: { initContainers: [{ name: 'a' }, { name: 'b' }], containers: [CONTAINER] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [status('a', DONE), status('b', RUNNING)],
      },
    },
    ['0/1', 'Init:1/2', '0'],
  ],
  [
    'failing to initialize',
    {
      spec: { initContainers: [{ name: 'a' }], containers: [CONTAINER] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [
          status('a', { waiting: { reason: 'CrashLoopBackOff' } }, { restartCount: 2 }),
        ],
      },
    },
    ['0/1', 'Init:CrashLoopBackOff', '2'],
  ],
  [
    'running with a sidecar',
    {
      spec: { initContainers: [{ name: 'a', restartPolicy: 'Always' }], containers: [CONTAINER] },
      status: {
        phase: 'Running',
        initContainerStatuses: [status('a', RUNNING, { started: true, ready: true })],
        containerStatuses: [status('c', RUNNING, { ready: true })],
      },
    },
    ['2/2', 'Running', '0'],
  ],
  [
    'one ended, one still running',
    {
      spec: { containers: [CONTAINER, { name: 'd' }] },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'False' }],
        containerStatuses: [status('c', DONE), status('d', RUNNING, { ready: true })],
      },
    },
    ['1/2', 'NotReady', '0'],
  ],
  [
    'being deleted',
    {
      deletionTimestamp: '2026-01-01T00:00:00Z',
      status: { phase: 'Running', containerStatuses: [status('c', RUNNING, { ready: true })] },
    },
    ['1/1', 'Terminating', '0'],
  ],
  ['evicted', { status: { phase: 'Failed', reason: 'Evicted' } }, ['0/1', 'Evicted', '0']],
  [
    'gated',
    {
      status: {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
      },
    },
    ['0/1', 'SchedulingGated', '0'],
  ],
];

suite('pod columns', ({ test }) => {
  test('are those of kubectl', () => {
    assert.equal(headers('pods'), ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE']);
    assert.equal(headers('pods', true).slice(5), [
      'IP',
      'NODE',
      'NOMINATED NODE',
      'READINESS GATES',
    ]);
  });

  for (const [
    what,
    { spec = { containers: [CONTAINER] }, status: now, deletionTimestamp },
    expected,
  ] of PRINTED) {
    test(`show a pod ${what}`, () => {
      const pod = make(
        'pods',
        { spec, status: now },
        deletionTimestamp ? { deletionTimestamp } : {},
      );
      assert.equal(cells('pods', pod).slice(1, 4), expected);
    });
  }

  test('show where it runs, wide', () => {
    const pod = make('pods', {
      spec: { containers: [CONTAINER], nodeName: 'n1', readinessGates: [{ conditionType: 'a' }] },
      status: { podIPs: [{ ip: '10.42.0.7' }], conditions: [{ type: 'a', status: 'True' }] },
    });
    assert.equal(cells('pods', pod, true).slice(4), ['90s', '10.42.0.7', 'n1', '<none>', '1/1']);
  });
});
