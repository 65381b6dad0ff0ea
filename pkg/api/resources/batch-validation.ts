/** What Jobs and CronJobs must be. Source: kubernetes pkg/apis/batch/validation. */

import {
  type Causes,
  each,
  immutable,
  invalidValue,
  isSame,
  notNegative,
  notSupported,
  oneOf,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type { CronJob, Job, JobSpec, PodTemplateSpec } from '../generated/types.ts';
import { dnsSubdomain } from '../names.ts';
import { matchesLabels, selectorOf } from '../selectors.ts';
import { scheduleError } from './cron-schedule.ts';
import { validateSelector } from './selector-validation.ts';
import { validateTemplate } from './template-validation.ts';

/** Eleven less than a label: the controller appends the minute to make a job's name. */
const CRON_NAME_MAX = 52;
const COUNTS = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
  'ttlSecondsAfterFinished',
] as const;

/** A subdomain, short enough for the names of its jobs. */
export function validateCronJobName(name: string): readonly string[] {
  const long =
    name.length > CRON_NAME_MAX ? [`must be no more than ${CRON_NAME_MAX} characters`] : [];
  return [...dnsSubdomain(name), ...long];
}

export function validateJob({ spec }: Job): Causes {
  const labels = spec.template?.metadata?.labels ?? {};
  const isMatching = spec.selector && matchesLabels(selectorOf(spec.selector), labels);
  return [
    ...jobSpecCauses(spec, 'spec'),
    ...(spec.selector
      ? validateSelector('spec.selector', spec.selector)
      : [required('spec.selector')]),
    ...(spec.selector && !isMatching
      ? [
          invalidValue(
            'spec.template.metadata.labels',
            labels,
            '`selector` does not match template `labels`',
          ),
        ]
      : []),
  ];
}

function jobSpecCauses(spec: JobSpec, field: string): Causes {
  return [
    ...COUNTS.flatMap((name) => notNegative(`${field}.${name}`, spec[name])),
    ...oneOf(`${field}.completionMode`, spec.completionMode, ['Indexed', 'NonIndexed']),
    ...oneOf(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, [
      'Failed',
      'TerminatingOrFailed',
    ]),
    ...(spec.completionMode === 'Indexed' && spec.completions === undefined
      ? [required(`${field}.completions`, 'when completion mode is Indexed')]
      : []),
    ...failurePolicyCauses(spec, field),
    ...validateTemplate(spec.template, `${field}.template`),
    ...restartCauses(spec.template, `${field}.template.spec.restartPolicy`),
  ];
}

function restartCauses(template: PodTemplateSpec | undefined, field: string): Causes {
  const policy = template?.spec?.restartPolicy;
  if (policy === undefined || policy === 'OnFailure' || policy === 'Never') return [];
  if (policy === 'Always') return [required(field, 'valid values: "OnFailure", "Never"')];
  return [notSupported(field, policy, ['OnFailure', 'Never'])];
}

function failurePolicyCauses(
  { podFailurePolicy, template, backoffLimitPerIndex }: JobSpec,
  field: string,
): Causes {
  if (!podFailurePolicy) return [];
  const policy = template?.spec?.restartPolicy;
  const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
  const restarts =
    policy === 'Never'
      ? []
      : [
          invalidValue(
            `${field}.template.spec.restartPolicy`,
            policy,
            'only "Never" is supported when podFailurePolicy is specified',
          ),
        ];
  return [
    ...restarts,
    ...each(`${field}.podFailurePolicy.rules`, podFailurePolicy.rules, (rule, path) => [
      ...requiredOneOf(`${path}.action`, rule.action, actions),
      ...(rule.action === 'FailIndex' && backoffLimitPerIndex === undefined
        ? [
            invalidValue(
              `${path}.action`,
              rule.action,
              'requires the backoffLimitPerIndex to be set',
            ),
          ]
        : []),
      ...(rule.onExitCodes
        ? requiredOneOf(`${path}.onExitCodes.operator`, rule.onExitCodes.operator, ['In', 'NotIn'])
        : []),
      ...(!rule.onExitCodes && !rule.onPodConditions?.length
        ? [
            invalidValue(
              path,
              rule,
              'specifying one of OnExitCodes and OnPodConditions is required',
            ),
          ]
        : []),
    ]),
  ];
}

export function validateJobUpdate({ spec }: Job, { spec: old, status }: Job): Causes {
  const isElastic =
    spec.completionMode === 'Indexed' &&
    spec.completions === spec.parallelism &&
    spec.completionMode === old.completionMode;
  const mayRedirect = old.suspend === true && !status?.startTime;
  const fixed = [
    'selector',
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const;
  return [
    ...(isElastic ? [] : immutable('spec.completions', spec.completions, old.completions)),
    ...fixed.flatMap((field) => immutable(`spec.${field}`, spec[field], old[field])),
    ...(isSame(mayRedirect ? redirected(spec.template, old.template) : spec.template, old.template)
      ? []
      : [invalidValue('spec.template', spec.template, 'field is immutable')]),
  ];
}

/** The new template with what a suspended job's may change as it was. */
function redirected(template: PodTemplateSpec, old: PodTemplateSpec): PodTemplateSpec {
  const spec = Object.assign({}, template.spec, {
    nodeSelector: old.spec?.nodeSelector,
    affinity: old.spec?.affinity,
    tolerations: old.spec?.tolerations,
    schedulingGates: old.spec?.schedulingGates,
  });
  return Object.assign({}, template, { metadata: old.metadata, spec });
}

export function validateCronJob({ spec }: CronJob): Causes {
  const { schedule, timeZone, jobTemplate } = spec;
  const wrong = schedule ? scheduleError(schedule) : undefined;
  return [
    ...(schedule ? [] : [required('spec.schedule')]),
    ...(wrong === undefined ? [] : [invalidValue('spec.schedule', schedule, wrong)]),
    ...timeZoneCauses(timeZone),
    ...notNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds),
    ...notNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...notNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
    ...requiredOneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, [
      'Allow',
      'Forbid',
      'Replace',
    ]),
    ...(jobTemplate?.spec
      ? jobSpecCauses(jobTemplate.spec, 'spec.jobTemplate.spec')
      : [required('spec.jobTemplate.spec')]),
  ];
}

function timeZoneCauses(timeZone: string | undefined): Causes {
  if (timeZone === undefined) return [];
  const field = 'spec.timeZone';
  if (timeZone === '')
    return [invalidValue(field, timeZone, 'timeZone must be nil or non-empty string')];
  if (timeZone.toLowerCase() === 'local') {
    return [
      invalidValue(
        field,
        timeZone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    ];
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return [];
  } catch (error) {
    if (error instanceof RangeError)
      return [invalidValue(field, timeZone, `unknown time zone ${timeZone}`)];
    throw error;
  }
}
