/** `kubectl rollout`: status, history, undo, restart, pause and resume of deployments. */

import type { Deployment } from '../../api/generated/types.ts';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS } from '../choose.ts';
import { durationMs } from '../durations.ts';
import { forEachTried } from '../each.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { sendPatch } from '../patching.ts';
import { rolloutProgress } from '../rollout-progress.ts';
import { deploymentPlaces } from '../rollout-targets.ts';
import { untilObject } from '../until.ts';
import type { Call, Verb } from '../verb.ts';
import { history, undo } from './rollout-history.ts';

const FLAGS = [...CHOICE_FLAGS, OUTPUT_FLAG, MANAGED_FIELDS_FLAG];

const status: Verb = {
  name: 'status',
  summary: 'Show the status of the rollout.',
  usage: 'rollout status (TYPE NAME | TYPE/NAME) [flags]',
  flags: [
    ...CHOICE_FLAGS,
    {
      name: 'watch',
      short: 'w',
      type: 'switch',
      default: 'true',
      help: "Watch the status of the rollout until it's done.",
    },
    {
      name: 'timeout',
      type: 'text',
      default: '0s',
      help: 'How long to wait; zero means for ever.',
    },
    { name: 'revision', type: 'number', default: '0', help: 'Pin to a revision for its status.' },
  ],
  async run(call) {
    const { args, io, api } = call;
    const timeoutMs = durationMs(args.text('timeout'));
    const revision = args.number('revision') ?? 0;
    await forEachTried(await deploymentPlaces(call, 'status'), async (place) => {
      let last = '';
      await untilObject({ api: api(), place, timeoutMs }, (object) => {
        const { text, isDone } = rolloutProgress(decode(object), revision);
        if (text !== last) io.stdout.write(text);
        last = text;
        return isDone || !args.isSet('watch') ? true : undefined;
      });
    });
    return 0;
  },
};

const restart: Verb = {
  name: 'restart',
  summary: 'Restart a resource.',
  usage: 'rollout restart (TYPE NAME | TYPE/NAME) [flags]',
  flags: FLAGS,
  run: (call) =>
    change(call, 'restart', ({ metadata, spec }) => {
      if (spec.paused)
        throw new KubectlError(
          `deployments.apps "${metadata.name}" can't restart paused deployment (run rollout resume first)`,
        );
      const restartedAt = `${new Date().toISOString().slice(0, 19)}Z`;
      const annotations = { 'kubectl.kubernetes.io/restartedAt': restartedAt };
      return { spec: { template: { metadata: { annotations } } } };
    }),
};

const pause: Verb = {
  name: 'pause',
  summary: 'Mark the provided resource as paused.',
  usage: 'rollout pause (TYPE NAME | TYPE/NAME) [flags]',
  flags: FLAGS,
  run: (call) =>
    change(call, 'pause', ({ metadata, spec }) => {
      if (spec.paused)
        throw new KubectlError(`deployments.apps "${metadata.name}" is already paused`);
      return { spec: { paused: true } };
    }),
};

const resume: Verb = {
  name: 'resume',
  summary: 'Resume a paused resource.',
  usage: 'rollout resume (TYPE NAME | TYPE/NAME) [flags]',
  flags: FLAGS,
  run: (call) =>
    change(call, 'resume', ({ metadata, spec }) => {
      if (!spec.paused) throw new KubectlError(`deployments.apps "${metadata.name}" is not paused`);
      return { spec: { paused: null } };
    }),
};

export const rollout: Verb = {
  name: 'rollout',
  summary: 'Manage the rollout of one or many resources.',
  usage: 'rollout SUBCOMMAND',
  examples: [
    'mini kubectl rollout status deployment/web',
    'mini kubectl rollout undo deployment/web',
  ],
  verbs: [history, pause, restart, resume, status, undo],
};

const DONE: Readonly<Record<string, string>> = {
  restart: 'restarted',
  pause: 'paused',
  resume: 'resumed',
};

async function change(
  call: Call,
  verb: string,
  patchOf: (deployment: Deployment) => object,
): Promise<number> {
  const { args, io, api } = call;
  const print = changePrinter(args, io);
  await forEachTried(await deploymentPlaces(call, verb), async (place) => {
    const body = patchOf(await api().get<Deployment>(place));
    const patch = { type: 'strategic', body, manager: 'kubectl-rollout' } as const;
    print(await sendPatch({ api: api(), args }, place, patch), DONE[verb] ?? verb);
  });
  return 0;
}

/** The places are those of deployments. */
function decode(object: unknown): Deployment {
  return object as Deployment;
}
