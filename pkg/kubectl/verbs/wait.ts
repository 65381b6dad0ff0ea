/** `kubectl wait`: until objects have a condition, a field has a value, or they are gone. */

import { isObject } from '../../api/json.ts';
import type { Api, Live } from '../api.ts';
import { changePrinter } from '../changes.ts';
import { CHOICE_FLAGS, choosePlaces, type NamedPlace } from '../choose.ts';
import { durationMs } from '../durations.ts';
import { forEachTried } from '../each.ts';
import { singularText } from '../kinds.ts';
import { KubectlError } from '../kubectl-error.ts';
import { relaxedPath } from '../output/custom-columns.ts';
import { valuesAt, valueText } from '../output/json-path.ts';
import { MANAGED_FIELDS_FLAG, OUTPUT_FLAG } from '../output/output.ts';
import { ALL_NAMESPACES_FLAG, FIELD_SELECTOR_FLAG } from '../targets.ts';
import { untilGone, untilObject } from '../until.ts';
import type { Call, Verb } from '../verb.ts';

/** A week, as kubectl takes a negative timeout. */
const WEEK_MS = 7 * 24 * 3_600_000;

export const wait: Verb = {
  name: 'wait',
  summary: 'Wait for a specific condition on one or many resources.',
  usage:
    "wait ([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) --for=delete|condition=available|jsonpath='{}'[=value] [flags]",
  examples: [
    'mini kubectl wait --for=condition=Ready pod/web-1',
    "mini kubectl wait --for=jsonpath='{.status.phase}'=Running pod/web-1 --timeout=60s",
  ],
  flags: [
    ...CHOICE_FLAGS,
    FIELD_SELECTOR_FLAG,
    ALL_NAMESPACES_FLAG,
    OUTPUT_FLAG,
    MANAGED_FIELDS_FLAG,
    { name: 'for', type: 'text', help: 'What to wait for.' },
    {
      name: 'timeout',
      type: 'text',
      default: '30s',
      help: 'How long to wait; zero means check once, negative means a week.',
    },
  ],
  run: waitForObjects,
};

async function waitForObjects({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const wanted = args.optional('for');
  if (!wanted) throw new KubectlError('the --for flag is required');
  const given = durationMs(args.text('timeout'));
  const timeoutMs = given < 0 ? WEEK_MS : Math.max(given, 1);
  const print = changePrinter(args, io);
  const places = await choosePlaces({ api, args, io, verb: 'wait' });
  if (places.length === 0 && wanted !== 'delete')
    throw new KubectlError('no matching resources found');
  await forEachTried(places, async (place) => {
    if (wanted === 'delete') {
      await untilGone(api, place, timeoutMs);
      io.stdout.write(`${singularText(place.kind)}/${place.name} condition met\n`);
    } else print(await untilMet({ api, place, timeoutMs }, checkOf(wanted)), 'condition met');
  });
  return 0;
}

function untilMet(
  waiting: { readonly api: Api; readonly place: NamedPlace; readonly timeoutMs: number },
  isMet: (object: Live) => boolean,
): Promise<Live> {
  return untilObject(waiting, (object) => (isMet(object) ? object : undefined));
}

function checkOf(wanted: string): (object: Live) => boolean {
  const [kind, ...rest] = wanted.split('=');
  const text = rest.join('=');
  if (kind === 'create') return () => true;
  if (kind === 'condition') return conditionCheck(text);
  if (kind === 'jsonpath') return pathCheck(text);
  throw new KubectlError(`unrecognized condition: ${JSON.stringify(wanted)}`);
}

function conditionCheck(text: string): (object: Live) => boolean {
  const [type = '', status = 'true'] = text.split('=');
  return ({ metadata, status: now }) => {
    const conditions = isObject(now) ? now['conditions'] : undefined;
    if (!Array.isArray(conditions)) return false;
    const found: unknown = conditions.find(
      (one) => isObject(one) && String(one['type']).toLowerCase() === type.toLowerCase(),
    );
    if (!isObject(found)) return false;
    const seen = Number(
      found['observedGeneration'] ?? (isObject(now) ? now['observedGeneration'] : 0),
    );
    // A condition about an older spec says nothing of this one.
    if (seen > 0 && seen < (metadata.generation ?? 0)) return false;
    return String(found['status']).toLowerCase() === status.toLowerCase();
  };
}

/** `'{.path}'`, which must be there, or `'{.path}'=value`. */
function pathCheck(text: string): (object: Live) => boolean {
  const [, path = '', value] = /^(\{.*\}|[^=]*?)(?:=(.*))?$/s.exec(text) ?? [];
  if (!path) throw new KubectlError('jsonpath wait expression cannot be empty');
  const steps = relaxedPath(path);
  return (object) => {
    const found = valuesAt(steps, object);
    if (value === undefined) return found.length > 0;
    return found.length > 0 && found.every((one) => valueText(one) === value);
  };
}
