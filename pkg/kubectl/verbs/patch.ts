/** `kubectl patch`: sends a patch as it is given. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS, choosePlaces } from '../choose.ts';
import { DRY_RUN_FLAG } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { sendPatch } from '../patching.ts';
import type { Verb } from '../verb.ts';

export const patch: Verb = {
  name: 'patch',
  summary: 'Update fields of a resource.',
  usage: 'patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [flags]',
  examples: [`mini kubectl patch deployment web -p '{"spec":{"replicas":2}}'`],
  flags: [
    ...CHOICE_FLAGS,
    DRY_RUN_FLAG,
    OUTPUT_FLAG,
    MANAGED_FIELDS_FLAG,
    { name: 'patch', short: 'p', type: 'text', help: 'The patch, in JSON or YAML.' },
    { name: 'patch-file', type: 'text', help: 'A file with the patch.' },
    {
      name: 'type',
      type: 'text',
      default: 'strategic',
      choices: ['json', 'merge', 'strategic'],
      help: 'The type of patch being provided.',
    },
    { name: 'subresource', type: 'text', help: 'The subresource to patch.' },
  ],
  async run({ args, io, api }) {
    const file = args.optional('patch-file');
    const text = args.optional('patch') ?? (file ? readFileSync(file, 'utf8') : undefined);
    if (text === undefined) throw new KubectlError('must specify --patch or --patch-file');
    const body: unknown = parse(text);
    const type = decodeType(args.text('type'));
    const subresource = args.optional('subresource');
    const print = changePrinter(args, io);
    await forEachTried(await choosePlaces({ api: api(), args, io, verb: 'patch' }), async (one) => {
      const place = subresource ? { ...one, subresource } : one;
      print(
        await sendPatch({ api: api(), args }, place, { type, body, manager: 'kubectl-patch' }),
        'patched',
      );
    });
    return 0;
  },
};

function decodeType(text: string): 'json' | 'merge' | 'strategic' {
  return text as 'json' | 'merge' | 'strategic';
}
