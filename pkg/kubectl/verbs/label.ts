/** `kubectl label` and `kubectl annotate`: sets and removes pairs of the metadata. */

import { isEqual } from '../../api/json.ts';
import type { Live } from '../api.ts';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS, choosePlaces } from '../choose.ts';
import { DRY_RUN_FLAG } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { KubectlError } from '../kubectl-error.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { sendPatch } from '../patching.ts';
import { ALL_NAMESPACES_FLAG, FIELD_SELECTOR_FLAG } from '../targets.ts';
import type { Call, Verb } from '../verb.ts';

type Field = 'labels' | 'annotations';

interface Words {
  readonly name: string;
  readonly field: Field;
  readonly done: string;
}

export const label = pairVerb({ name: 'label', field: 'labels', done: 'labeled' });
export const annotate = pairVerb({ name: 'annotate', field: 'annotations', done: 'annotated' });

function pairVerb(words: Words): Verb {
  const { name, field } = words;
  return {
    name,
    summary: `Update the ${field} on a resource.`,
    usage: `${name} [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [flags]`,
    examples: [`mini kubectl ${name} pod web-1 team=blue`, `mini kubectl ${name} node one team-`],
    flags: [
      ...CHOICE_FLAGS,
      FIELD_SELECTOR_FLAG,
      ALL_NAMESPACES_FLAG,
      DRY_RUN_FLAG,
      OUTPUT_FLAG,
      MANAGED_FIELDS_FLAG,
      { name: 'overwrite', type: 'switch', help: `If true, allow ${field} to be overwritten.` },
      { name: 'list', type: 'switch', help: `If true, display the ${field}.` },
    ],
    run: (call) => setPairs(call, words),
  };
}

interface Pairs {
  readonly set: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
}

async function setPairs({ args, io, api: open }: Call, words: Words): Promise<number> {
  const { name, field } = words;
  const isPair = (text: string) => text.includes('=') || text.endsWith('-');
  const first = args.names.findIndex((text) => isPair(text));
  const count = first < 0 ? args.names.length : first;
  const pairs = parsePairs(args.names.slice(count));
  if (count === args.names.length && !args.isSet('list'))
    throw new KubectlError(`at least one ${name} update is required`);
  const api = open();
  const print = changePrinter(args, io);
  const names = args.names.slice(0, count);
  const places = await choosePlaces({ api, args, io, names, verb: name });
  await forEachTried(places, async (place) => {
    const live = await api.get<Live>(place);
    const old = live.metadata[field] ?? {};
    if (args.isSet('list')) {
      io.stdout.write(
        Object.entries(old)
          .map(([key, value]) => `${key}=${value}\n`)
          .join(''),
      );
      return;
    }
    if (!args.isSet('overwrite')) checkFree(old, pairs, name);
    for (const key of pairs.removed)
      if (!(key in old)) io.stdout.write(`${name} "${key}" not found.\n`);
    const wanted = withPairs(old, pairs);
    const body = { metadata: { [field]: bodyOf(pairs) } };
    const isSame = isEqual(old, wanted);
    const after = isSame
      ? live
      : await sendPatch({ api, args }, place, { type: 'merge', body, manager: `kubectl-${name}` });
    print(after, doneText(words, { isSame, pairs }));
  });
  return 0;
}

function doneText(
  { field, done }: Words,
  { isSame, pairs }: { readonly isSame: boolean; readonly pairs: Pairs },
): string {
  if (field === 'annotations') return done;
  if (isSame) return 'not labeled';
  return pairs.set.size === 0 ? 'unlabeled' : done;
}

function parsePairs(texts: readonly string[]): Pairs {
  const set = new Map<string, string>();
  const removed: string[] = [];
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals > 0) set.set(text.slice(0, equals), text.slice(equals + 1));
    else if (equals < 0 && text.endsWith('-')) removed.push(text.slice(0, -1));
    else throw new KubectlError(`unknown argument: ${text}; pairs come last, as KEY=VALUE or KEY-`);
  }
  const both = removed.find((key) => set.has(key));
  if (both !== undefined)
    throw new KubectlError(`can not both modify and remove a label in the same command: ${both}`);
  return { set, removed };
}

function checkFree(old: Readonly<Record<string, string>>, { set }: Pairs, name: string): void {
  for (const [key, value] of set) {
    if (old[key] === undefined || old[key] === value) continue;
    const what =
      name === 'label'
        ? `'${key}' already has a value (${old[key]})`
        : '--overwrite is false but found the following declared annotation(s): ' +
          `'${key}' already has a value (${old[key]})`;
    throw new KubectlError(name === 'label' ? `${what}, and --overwrite is false` : what);
  }
}

function withPairs(
  old: Readonly<Record<string, string>>,
  { set, removed }: Pairs,
): Readonly<Record<string, string>> {
  const kept = Object.entries(old).filter(([key]) => !removed.includes(key));
  return Object.fromEntries([...kept, ...set]);
}

function bodyOf({ set, removed }: Pairs): Record<string, string | null> {
  return Object.fromEntries([...set, ...removed.map((key) => [key, null] as const)]);
}
