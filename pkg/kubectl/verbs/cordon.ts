/** `kubectl cordon` and `kubectl uncordon`: whether a node takes new pods. */

import type { Node } from '../../api/generated/types.ts';
import { choosePlaces } from '../choose.ts';
import { DRY_RUN_FLAG, dryRunSuffix } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { KubectlError } from '../kubectl-error.ts';
import { sendPatch } from '../patching.ts';
import { SELECTOR_FLAG } from '../targets.ts';
import type { Call, Verb } from '../verb.ts';

export const cordon = cordonVerb('cordon', true);
export const uncordon = cordonVerb('uncordon', false);

function cordonVerb(name: string, isOff: boolean): Verb {
  return {
    name,
    summary: `Mark node as ${isOff ? 'unschedulable' : 'schedulable'}.`,
    usage: `${name} NODE [flags]`,
    flags: [
      SELECTOR_FLAG,
      DRY_RUN_FLAG,
      { name: 'filename', type: 'list', help: 'Filename with the nodes.' },
      { name: 'recursive', type: 'switch', help: 'Process directories recursively.' },
    ],
    run: (call) => setSchedulable(call, { name, isOff }),
  };
}

async function setSchedulable(
  { args, io, api: open }: Call,
  { name, isOff }: { readonly name: string; readonly isOff: boolean },
): Promise<number> {
  const api = open();
  if (args.names.length === 0 && !args.has('selector') && !args.has('filename'))
    throw new KubectlError(
      `one or more nodes must be specified as arguments, see: mini kubectl ${name} -h`,
    );
  const names = args.names.map((node) => node.replace(/^nodes?\//, ''));
  const places = await choosePlaces({ api, args, io, names: ['nodes', ...names], verb: name });
  await forEachTried(places, async (place) => {
    const { spec } = await api.get<Node>(place);
    const isAlready = (spec.unschedulable === true) === isOff;
    const body = { spec: { unschedulable: isOff ? true : null } };
    if (!isAlready)
      await sendPatch({ api, args }, place, { type: 'merge', body, manager: `kubectl-${name}` });
    const done = isAlready ? `already ${name}ed` : `${name}ed`;
    io.stdout.write(`node/${place.name} ${done}${dryRunSuffix(args)}\n`);
  });
  return 0;
}
