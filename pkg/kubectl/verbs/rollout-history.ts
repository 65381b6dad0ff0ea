/** `kubectl rollout history` and `undo`: the revisions that a deployment's replica sets keep. */

import type { Deployment, ReplicaSet } from '../../api/generated/types.ts';
import { isEqual } from '../../api/json.ts';
import { formatSelector, selectorOf } from '../../api/selectors.ts';
import type { Api } from '../api.ts';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS } from '../choose.ts';
import { templateLines } from '../describe/template.ts';
import { DRY_RUN_FLAG } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { singularText } from '../kinds.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { aligned } from '../output/tab-writer.ts';
import { sendPatch } from '../patching.ts';
import { REVISION } from '../rollout-progress.ts';
import { deploymentPlaces } from '../rollout-targets.ts';
import type { Verb } from '../verb.ts';

const CHANGE_CAUSE = 'kubernetes.io/change-cause';
const HASH = 'pod-template-hash';
/** Annotations of a replica set that are not those of its deployment. */
const OWN_ANNOTATIONS = [
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.deployment.rollback.to',
];

export const history: Verb = {
  name: 'history',
  summary: 'View rollout history.',
  usage: 'rollout history (TYPE NAME | TYPE/NAME) [flags]',
  flags: [
    ...CHOICE_FLAGS,
    {
      name: 'revision',
      type: 'number',
      default: '0',
      help: 'See the details, including podTemplate of the revision specified.',
    },
  ],
  async run(call) {
    const { args, io, api } = call;
    const revision = args.number('revision') ?? 0;
    await forEachTried(await deploymentPlaces(call, 'history'), async (place) => {
      const deployment = await api().get<Deployment>(place);
      const all = await revisionsOf(api(), deployment);
      const title = `${singularText(place.kind)}/${place.name}`;
      if (revision === 0) io.stdout.write(`${title} \n${listText(all)}\n`);
      else {
        const { spec } = revisionNamed(all, revision);
        const text = spec.template ? templateLines(spec.template) : '';
        io.stdout.write(`${title} with revision #${revision}\n${text}\n`);
      }
    });
    return 0;
  },
};

export const undo: Verb = {
  name: 'undo',
  summary: 'Undo a previous rollout.',
  usage: 'rollout undo (TYPE NAME | TYPE/NAME) [flags]',
  flags: [
    ...CHOICE_FLAGS,
    DRY_RUN_FLAG,
    OUTPUT_FLAG,
    MANAGED_FIELDS_FLAG,
    {
      name: 'to-revision',
      type: 'number',
      default: '0',
      help: 'The revision to rollback to. Default to 0 (last revision).',
    },
  ],
  async run(call) {
    const { args, io, api } = call;
    const print = changePrinter(args, io);
    const revision = args.number('to-revision') ?? 0;
    await forEachTried(await deploymentPlaces(call, 'undo'), async (place) => {
      const deployment = await api().get<Deployment>(place);
      if (deployment.spec.paused)
        throw new KubectlError(
          "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
        );
      const target = await targetOf(api(), deployment, revision);
      const template = withoutHash(target);
      const done = isEqual(template, deployment.spec.template)
        ? `skipped rollback (current template already matches revision ${numberOf(target)})`
        : 'rolled back';
      const body = [
        { op: 'replace', path: '/spec/template', value: template },
        { op: 'replace', path: '/metadata/annotations', value: annotationsOf(deployment, target) },
      ];
      const patch = { type: 'json', body, manager: 'kubectl-rollout' } as const;
      const after =
        done === 'rolled back'
          ? await sendPatch({ api: api(), args }, place, patch)
          : await api().get(place);
      print(after, done);
    });
    return 0;
  },
};

/** The deployment's own replica sets that have a revision, the oldest first. */
async function revisionsOf(
  api: Api,
  { metadata, spec }: Deployment,
): Promise<readonly ReplicaSet[]> {
  const { items } = await api.client.list<ReplicaSet>('replicasets', {
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    labelSelector: formatSelector(selectorOf(spec.selector)),
  });
  return items
    .filter((set) => set.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
    .filter((set) => numberOf(set) > 0)
    .sort((a, b) => numberOf(a) - numberOf(b));
}

function numberOf({ metadata }: ReplicaSet): number {
  return Number(metadata.annotations?.[REVISION] ?? 0);
}

function listText(all: readonly ReplicaSet[]): string {
  const rows = all.map((set) => [
    String(numberOf(set)),
    set.metadata.annotations?.[CHANGE_CAUSE] || '<none>',
  ]);
  return aligned([['REVISION', 'CHANGE-CAUSE'], ...rows], { minWidth: 0, padding: 2 });
}

function revisionNamed(all: readonly ReplicaSet[], revision: number): ReplicaSet {
  const found = all.find((set) => numberOf(set) === revision);
  if (!found) throw new KubectlError('unable to find the specified revision');
  return found;
}

async function targetOf(api: Api, deployment: Deployment, revision: number): Promise<ReplicaSet> {
  const all = await revisionsOf(api, deployment);
  if (revision > 0) return revisionNamed(all, revision);
  const previous = all.at(-2);
  if (!previous)
    throw new KubectlError(`no rollout history found for deployment "${deployment.metadata.name}"`);
  return previous;
}

function withoutHash({ spec }: ReplicaSet): ReplicaSet['spec']['template'] {
  const { template } = spec;
  if (!template?.metadata?.labels) return template;
  const { [HASH]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** The replica set's annotations with those of the deployment that are never rolled back. */
function annotationsOf(deployment: Deployment, set: ReplicaSet): Record<string, string> {
  const isOwn = (key: string) => OWN_ANNOTATIONS.includes(key);
  const kept = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => isOwn(key));
  const taken = Object.entries(set.metadata.annotations ?? {}).filter(([key]) => !isOwn(key));
  return Object.fromEntries([...kept, ...taken]);
}
