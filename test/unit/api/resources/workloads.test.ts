/** Deployments, sets, jobs: defaults, validation, what may not change, and their tables. */

import * as assert from 'uvu/assert';
import { scheduleError } from '../../../../pkg/api/resources/cron-schedule.ts';
import { suite } from '../../../harness/suite.ts';
import { cells, defaulted, faults, headers, make, row, updateFaults } from './fixtures.ts';

const POD = { containers: [{ name: 'c', image: 'busybox:1' }] };
const LABELS = { app: 'web' };
const TEMPLATE = { metadata: { labels: LABELS }, spec: POD };
const SPEC = { selector: { matchLabels: LABELS }, template: TEMPLATE };

interface WithSpec {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

function specOf(name: string, spec: object): Readonly<Record<string, unknown>> {
  const {
    template: _template,
    selector: _selector,
    ...rest
  } = (defaulted(name, { spec }) as unknown as WithSpec).spec;
  return rest;
}

suite('workload defaults', ({ test }) => {
  test('of deployments', () => {
    assert.equal(specOf('deployments', SPEC), {
      replicas: 1,
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' },
      },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
    });
    assert.equal(
      specOf('deployments', { ...SPEC, replicas: 0, strategy: { type: 'Recreate' } })['strategy'],
      {
        type: 'Recreate',
      },
    );
  });

  test('of replica, stateful and daemon sets', () => {
    assert.equal(specOf('replicasets', SPEC), { replicas: 1 });
    assert.equal(specOf('statefulsets', SPEC), {
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
    assert.equal(specOf('daemonsets', SPEC), {
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      revisionHistoryLimit: 10,
    });
  });

  test('of jobs and cron jobs', () => {
    const once = {
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    };
    assert.equal(specOf('jobs', { template: TEMPLATE }), {
      completions: 1,
      parallelism: 1,
      ...once,
    });
    assert.equal(specOf('jobs', { template: TEMPLATE, parallelism: 3 }), {
      parallelism: 3,
      ...once,
    });
    const cron = { schedule: '* * * * *', jobTemplate: { spec: { template: TEMPLATE } } };
    const { jobTemplate: _job, ...rest } = specOf('cronjobs', cron);
    assert.equal(rest, {
      schedule: '* * * * *',
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
  });

  test('give a job a selector that no other job has', () => {
    const job = row('jobs').prepareForCreate?.(
      defaulted('jobs', { spec: { template: TEMPLATE } }),
    ) as unknown as WithSpec;
    const spec = job.spec as { selector: object; template: { metadata: { labels: object } } };
    assert.equal(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u-1' } });
    assert.equal(spec.template.metadata.labels, {
      app: 'web',
      'batch.kubernetes.io/controller-uid': 'u-1',
      'controller-uid': 'u-1',
      'batch.kubernetes.io/job-name': 'web',
      'job-name': 'web',
    });
  });
});

const WRONG: readonly [string, object, readonly string[]][] = [
  ['deployments', SPEC, []],
  [
    'deployments',
    { ...SPEC, replicas: -1 },
    ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
  ],
  ['deployments', { template: TEMPLATE }, ['spec.selector: Required value']],
  [
    'deployments',
    { ...SPEC, selector: {} },
    ['spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
  ],
  [
    'deployments',
    { ...SPEC, template: { ...TEMPLATE, metadata: { labels: { app: 'x' } } } },
    [
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
  ],
  [
    'deployments',
    { ...SPEC, template: { ...TEMPLATE, spec: { ...POD, restartPolicy: 'Never' } } },
    ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    'deployments',
    { ...SPEC, strategy: { type: 'Recreate', rollingUpdate: {} } },
    [
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
  ],
  [
    'deployments',
    { ...SPEC, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: '0%' } } },
    [
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
    ],
  ],
  [
    'deployments',
    { ...SPEC, strategy: { type: 'Blue' } },
    [
      'spec.strategy.type: Unsupported value: "Blue": supported values: "Recreate", "RollingUpdate"',
    ],
  ],
  ['statefulsets', SPEC, []],
  ['daemonsets', SPEC, []],
  ['replicasets', SPEC, []],
  [
    'statefulsets',
    { ...SPEC, podManagementPolicy: 'x' },
    [
      'spec.podManagementPolicy: Unsupported value: "x": supported values: "OrderedReady", "Parallel"',
    ],
  ],
  [
    'jobs',
    { ...SPEC },
    ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
  ],
  [
    'cronjobs',
    {
      schedule: '* * *',
      jobTemplate: { spec: { template: { spec: { ...POD, restartPolicy: 'Never' } } } },
    },
    ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'],
  ],
];

suite('workload validation', ({ test }) => {
  test('names the field and words the fault as Kubernetes does', () => {
    for (const [name, spec, expected] of WRONG) {
      assert.equal(faults(name, { spec }), expected, `${name} ${JSON.stringify(spec)}`);
    }
  });

  test('keeps selectors', () => {
    const other = { ...SPEC, selector: { matchLabels: { app: 'x' } } };
    for (const name of ['deployments', 'replicasets', 'daemonsets']) {
      assert.equal(updateFaults(name, { spec: SPEC }, { spec: other }), [
        'spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable',
      ]);
      assert.equal(
        updateFaults(name, { spec: SPEC }, { spec: { ...SPEC, minReadySeconds: 3 } }),
        [],
      );
    }
  });

  test('lets a stateful set change only what its controller can follow', () => {
    assert.equal(
      updateFaults('statefulsets', { spec: SPEC }, { spec: { ...SPEC, replicas: 3 } }),
      [],
    );
    assert.equal(
      updateFaults('statefulsets', { spec: SPEC }, { spec: { ...SPEC, serviceName: 'x' } }),
      [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ],
    );
  });

  test('keeps a job what it is', () => {
    const spec = { template: TEMPLATE };
    assert.equal(
      updateFaults('jobs', { spec }, { spec: { ...spec, parallelism: 0, completions: 1 } }),
      [],
    );
    assert.equal(updateFaults('jobs', { spec }, { spec: { ...spec, completions: 2 } }), [
      'spec.completions: Invalid value: 2: field is immutable',
    ]);
  });

  test('reads cron schedules', () => {
    for (const schedule of [
      '* * * * *',
      '*/5 0-6 1,15 jan-mar mon',
      '@hourly',
      '@every 1h30m',
      '0 0 ? * 0',
    ]) {
      assert.is(scheduleError(schedule), undefined, schedule);
    }
    for (const schedule of [
      '',
      '60 * * * *',
      '* 24 * * *',
      '5-1 * * * *',
      '*/0 * * * *',
      'a * * * *',
      '@soon',
      'TZ=UTC * * * * *',
    ]) {
      assert.type(scheduleError(schedule), 'string', schedule);
    }
  });
});

const TABLES: readonly [string, object, readonly string[], readonly unknown[]][] = [
  [
    'deployments',
    {
      spec: { ...SPEC, replicas: 3 },
      status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    },
    ['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'],
    ['web', '1/3', 2, 1, '90s', 'c', 'busybox:1', 'app=web'],
  ],
  [
    'replicasets',
    { spec: { ...SPEC, replicas: 3 }, status: { replicas: 2, readyReplicas: 1 } },
    ['NAME', 'DESIRED', 'CURRENT', 'READY', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'],
    ['web', 3, 2, 1, '90s', 'c', 'busybox:1', 'app=web'],
  ],
  [
    'statefulsets',
    { spec: { ...SPEC, replicas: 3 }, status: { replicas: 2, readyReplicas: 1 } },
    ['NAME', 'READY', 'AGE', 'CONTAINERS', 'IMAGES'],
    ['web', '1/3', '90s', 'c', 'busybox:1'],
  ],
  [
    'daemonsets',
    {
      spec: SPEC,
      status: { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 1 },
    },
    [
      'NAME',
      'DESIRED',
      'CURRENT',
      'READY',
      'UP-TO-DATE',
      'AVAILABLE',
      'NODE SELECTOR',
      'AGE',
      'CONTAINERS',
      'IMAGES',
      'SELECTOR',
    ],
    ['web', 2, 2, 1, 0, 0, '<none>', '90s', 'c', 'busybox:1', 'app=web'],
  ],
  [
    'jobs',
    {
      spec: { ...SPEC, completions: 2 },
      status: {
        succeeded: 2,
        startTime: '2025-12-31T23:59:00Z',
        completionTime: '2025-12-31T23:59:10Z',
        conditions: [{ type: 'Complete', status: 'True' }],
      },
    },
    ['NAME', 'STATUS', 'COMPLETIONS', 'DURATION', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'],
    ['web', 'Complete', '2/2', '10s', '90s', 'c', 'busybox:1', 'app=web'],
  ],
  [
    'cronjobs',
    {
      spec: { schedule: '@daily', suspend: true, jobTemplate: { spec: { template: TEMPLATE } } },
      status: { active: [{}], lastScheduleTime: '2025-12-31T23:59:00Z' },
    },
    [
      'NAME',
      'SCHEDULE',
      'TIMEZONE',
      'SUSPEND',
      'ACTIVE',
      'LAST SCHEDULE',
      'AGE',
      'CONTAINERS',
      'IMAGES',
      'SELECTOR',
    ],
    ['web', '@daily', '<none>', 'True', 1, '60s', '90s', 'c', 'busybox:1', '<none>'],
  ],
];

suite('workload columns', ({ test }) => {
  for (const [name, body, titles, row_] of TABLES) {
    test(`of ${name} are those of kubectl`, () => {
      assert.equal(headers(name, true), titles);
      assert.equal(cells(name, make(name, body), true), row_);
    });
  }
});
