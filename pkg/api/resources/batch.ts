/** Jobs and CronJobs. */

import { change, fill } from '../defaulting.ts';
import type { CronJob, Job, JobSpec } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import {
  validateCronJob,
  validateCronJobName,
  validateJob,
  validateJobUpdate,
} from './batch-validation.ts';
import { templateDefaults } from './pod-defaults.ts';
import { CRONJOB_COLUMNS, JOB_COLUMNS } from './workload-columns.ts';

const CONTROLLER_UID = 'batch.kubernetes.io/controller-uid';
const JOB_NAME = 'batch.kubernetes.io/job-name';
const NO_LIMIT = 2 ** 31 - 1;

/** Without either number one pod has to succeed; with parallelism alone any success ends the job. */
function jobSpecDefaults(spec: JobSpec): JobSpec {
  const isOnce = spec.completions === undefined && spec.parallelism === undefined;
  return fill(spec, {
    ...(isOnce ? { completions: 1 } : {}),
    parallelism: 1,
    backoffLimit: spec.backoffLimitPerIndex === undefined ? 6 : NO_LIMIT,
    ...(spec.backoffLimitPerIndex === undefined
      ? {}
      : { maxFailedIndexes: spec.completions ?? NO_LIMIT }),
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed',
  });
}

function jobDefaults(job: Job): Job {
  const { metadata, spec } = job;
  const labels = spec?.template?.metadata?.labels;
  const isUnlabelled = labels !== undefined && Object.keys(metadata.labels ?? {}).length === 0;
  const labelled = isUnlabelled ? { ...job, metadata: { ...metadata, labels } } : job;
  return change(fill(labelled, { status: {} }), {
    spec: (given) => change(jobSpecDefaults(given), { template: templateDefaults }),
  });
}

/** Gives the job's pods labels that no other job's pods have, and selects by them, unless the client chose both. */
function withSelector(job: Job): Job {
  const { metadata, spec } = job;
  if (spec.manualSelector || !spec.template) return job;
  const { uid, name } = metadata;
  const unique = {
    [CONTROLLER_UID]: uid,
    'controller-uid': uid,
    [JOB_NAME]: name,
    'job-name': name,
  };
  const { template } = spec;
  const labels = { ...template.metadata?.labels, ...unique };
  const matchLabels = { ...spec.selector?.matchLabels, [CONTROLLER_UID]: uid };
  return {
    ...job,
    spec: {
      ...spec,
      selector: { ...spec.selector, matchLabels },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

export const jobs: Resource<Job> = {
  gvk: ['batch', 'v1', 'Job'],
  names: { plural: 'jobs', singular: 'job', categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.batch.v1.Job',
  subresources: ['status'],
  hasGeneration: true,
  fields: { 'status.successful': ({ status }) => String(status?.succeeded ?? 0) },
  defaults: jobDefaults,
  prepareForCreate: (job) => ({ ...withSelector(job), status: {} }),
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  columns: JOB_COLUMNS,
};

export const cronjobs: Resource<CronJob> = {
  gvk: ['batch', 'v1', 'CronJob'],
  names: { plural: 'cronjobs', singular: 'cronjob', short: ['cj'], categories: ['all'] },
  namespaced: true,
  type: 'io.k8s.api.batch.v1.CronJob',
  subresources: ['status'],
  hasGeneration: true,
  validateName: validateCronJobName,
  defaults: (cron) =>
    change(fill(cron, { status: {} }), {
      spec: (spec) =>
        change(
          fill(spec, {
            concurrencyPolicy: 'Allow',
            suspend: false,
            successfulJobsHistoryLimit: 3,
            failedJobsHistoryLimit: 1,
          }),
          {
            jobTemplate: (job) =>
              change(fill(job, { metadata: {} }), {
                spec: (jobSpec) => change(jobSpec, { template: templateDefaults }),
              }),
          },
        ),
    }),
  prepareForCreate: (cron) => ({ ...cron, status: {} }),
  validate: validateCronJob,
  columns: CRONJOB_COLUMNS,
};
