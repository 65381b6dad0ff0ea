/** `kubectl describe`: objects with all that belongs to them, for people. */

import type { Api, Live } from '../api.ts';
import { CHOICE_FLAGS, choosePlaces, type NamedPlace } from '../choose.ts';
import { describeDeployment, describeReplicaSet } from '../describe/deployment.ts';
import { describeConfigMap, describeGeneric, describeSecret } from '../describe/generic.ts';
import { describeNode } from '../describe/node.ts';
import { describePod } from '../describe/pod.ts';
import { describeService } from '../describe/service.ts';
import { rendered } from '../describe/text.ts';
import { forEachTried } from '../each.ts';
import { resourceText } from '../kinds.ts';
import { ALL_NAMESPACES_FLAG } from '../targets.ts';
import type { Call, Verb } from '../verb.ts';

/** One kind's form; what it is given is of that kind. */
type Describe = (api: Api, object: Live) => Promise<string>;

const FORMS: Readonly<Record<string, Describe>> = {
  pods: (api, object) => describePod(api, decode(object)),
  nodes: (api, object) => describeNode(api, decode(object)),
  'deployments.apps': (api, object) => describeDeployment(api, decode(object)),
  'replicasets.apps': (api, object) => describeReplicaSet(api, decode(object)),
  services: (api, object) => describeService(api, decode(object)),
  configmaps: describeConfigMap,
  secrets: describeSecret,
};

export const describe: Verb = {
  name: 'describe',
  summary: 'Show details of a specific resource or group of resources.',
  usage: 'describe (-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [flags]',
  examples: ['mini kubectl describe pod web-1', 'mini kubectl describe node/one'],
  flags: [
    ...CHOICE_FLAGS,
    ALL_NAMESPACES_FLAG,
    { name: 'show-events', type: 'switch', default: 'true', help: 'Accepted; events are shown.' },
    { name: 'chunk-size', type: 'number', default: '500', help: 'Accepted; lists come in chunks.' },
  ],
  run: describeObjects,
};

async function describeObjects({ args, io, api: open }: Call): Promise<number> {
  const api = open();
  const places = await choosePlaces({ api, args, io, verb: 'describe', isWhole: true });
  let count = 0;
  await forEachTried(places, async (place) => {
    const text = await textOf(api, place);
    io.stdout.write(`${count > 0 ? '\n\n' : ''}${text}`);
    count += 1;
  });
  if (places.length === 0) io.stderr.write(nothing(api, args.isSet('all-namespaces')));
  return 0;
}

function nothing(api: Api, isAll: boolean): string {
  return isAll ? 'No resources found\n' : `No resources found in ${api.namespace} namespace.\n`;
}

async function textOf(api: Api, place: NamedPlace): Promise<string> {
  const object = await api.get<Live>(place);
  const form = FORMS[resourceText(place.kind)] ?? describeGeneric;
  return rendered(await form(api, object));
}

/** The place says of which kind the object is. */
function decode<T>(object: unknown): T {
  return object as T;
}
