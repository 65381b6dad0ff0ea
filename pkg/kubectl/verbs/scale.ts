/** `kubectl scale`: sets the number of replicas. */

import type { Live, Place } from '../api.ts';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS, choosePlaces } from '../choose.ts';
import { DRY_RUN_FLAG } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { sendPatch } from '../patching.ts';
import type { Call, Verb } from '../verb.ts';

interface Scale {
  readonly spec?: { readonly replicas?: number };
}

export const scale: Verb = {
  name: 'scale',
  summary: 'Set a new size for a deployment, replica set, replication controller, or stateful set.',
  usage: 'scale [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME) [flags]',
  examples: ['mini kubectl scale deployment/web --replicas=3'],
  flags: [
    ...CHOICE_FLAGS,
    DRY_RUN_FLAG,
    OUTPUT_FLAG,
    MANAGED_FIELDS_FLAG,
    { name: 'replicas', type: 'number', help: 'The new desired number of replicas. Required.' },
    {
      name: 'current-replicas',
      type: 'number',
      default: '-1',
      help: 'Precondition for current size: nothing is changed unless it is this.',
    },
  ],
  run: scaleObjects,
};

async function scaleObjects({ args, io, api: open }: Call): Promise<number> {
  const replicas = args.number('replicas');
  if (replicas === undefined) throw new KubectlError('required flag(s) "replicas" not set');
  if (replicas < 0)
    throw new KubectlError(
      'The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0',
    );
  const api = open();
  const print = changePrinter(args, io);
  const current = args.number('current-replicas') ?? -1;
  await forEachTried(await choosePlaces({ api, args, io, verb: 'scale' }), async (place) => {
    const scalePlace: Place & { name: string } = { ...place, subresource: 'scale' };
    const { spec } = await api.get<Scale>(scalePlace);
    if (current >= 0 && spec?.replicas !== current)
      throw new KubectlError(`Expected replicas to be ${current}, was ${spec?.replicas ?? 0}`);
    await sendPatch({ api, args }, scalePlace, {
      type: 'merge',
      body: { spec: { replicas } },
      manager: 'kubectl-scale',
    });
    print(await api.get<Live>(place), 'scaled');
  });
  return 0;
}
