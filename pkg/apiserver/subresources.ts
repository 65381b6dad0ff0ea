/** The table of subresources: which handler serves which verb of which. */

import { methodNotAllowed } from '../api/errors.ts';
import { typeOfKind } from '../api/schema.ts';
import { admission } from './admit.ts';
import { bind } from './binding.ts';
import type { Answerer, ServerResponse } from './contract.ts';
import { decodeAs } from './decode.ts';
import { isDryRunQuery } from './dry-run.ts';
import { evict } from './eviction.ts';
import { finalize } from './finalize.ts';
import type { Call, Parts } from './parts.ts';
import { patch } from './patch.ts';
import { log, nodeProxy, podProxy, serviceProxy, upgradeRequired } from './proxies.ts';
import { getScale, patchScale, updateScale } from './scale.ts';
import { nameOf } from './storage.ts';
import { unknownPath } from './unknown-path.ts';
import { get, read, update } from './verbs.ts';

export type Handler = (parts: Parts, call: Call) => ServerResponse | Promise<ServerResponse>;
type Handlers = Readonly<Record<string, Handler>>;

const WHOLE: Handlers = { get, update, patch };
const PROXY_VERBS = ['get', 'create', 'update', 'patch', 'delete'] as const;

const SUBRESOURCES: Readonly<Record<string, Handlers>> = {
  status: WHOLE,
  scale: { get: getScale, update: updateScale, patch: patchScale },
  'pods/binding': { create: bind },
  'pods/eviction': { create: evict },
  'pods/ephemeralcontainers': WHOLE,
  'pods/resize': WHOLE,
  'pods/log': { get: log },
  'pods/exec': { get: upgradeRequired, create: upgradeRequired },
  'pods/attach': { get: upgradeRequired, create: upgradeRequired },
  'pods/portforward': { get: upgradeRequired, create: upgradeRequired },
  'pods/proxy': all(podProxy),
  'services/proxy': all(serviceProxy),
  'nodes/proxy': all(nodeProxy),
  'namespaces/finalize': { update: finalize },
  'certificatesigningrequests/approval': WHOLE,
};

function all(handler: Handler): Handlers {
  return Object.fromEntries(PROXY_VERBS.map((verb) => [verb, handler]));
}

/** The handler of a call to a subresource. Throws NotFound, MethodNotAllowed. */
export function subresourceHandler({ resource, route }: Call): Handler {
  const { subresource, verb } = route;
  const { plural } = resource.names;
  const handlers = SUBRESOURCES[`${plural}/${subresource}`] ?? SUBRESOURCES[subresource];
  const isServed = resource.subresources?.includes(subresource) || isAlways(plural, subresource);
  if (!handlers || !isServed) throw unknownPath();
  const handler = handlers[verb];
  if (!handler) throw methodNotAllowed(nameOf(resource), verb);
  return handler;
}

/** Served whatever the row says. */
function isAlways(plural: string, subresource: string): boolean {
  return subresource === 'proxy' || `${plural}/${subresource}` === 'namespaces/finalize';
}

/** The handler of a create that another part of the server answers (reviews, tokens); undefined if there is none. */
export function answererFor(parts: Parts, { resource, route }: Call): Handler | undefined {
  const { plural, group } = nameOf(resource);
  const sub = route.subresource ? `/${route.subresource}` : '';
  const wanted = `${group ? `${plural}.${group}` : plural}${sub}`;
  const answerer = parts.answerers.find((each) => each.resource === wanted);
  return answerer && ((_parts, call) => answer(parts, call, answerer));
}

async function answer(parts: Parts, call: Call, answerer: Answerer): Promise<ServerResponse> {
  const { request, route } = call;
  const { object } = decodeAs(request, answeredType(call));
  const isDryRun = isDryRunQuery(request.query);
  const old = route.subresource ? read(parts, call) : undefined;
  const admitted = await admission(parts, call, isDryRun)('CREATE', { object, old: undefined });
  const { trailing: _trailing, ...attributes } = route;
  const body = await answerer.answer(
    {
      ...attributes,
      operation: 'CREATE',
      object: admitted,
      old,
      isDryRun,
      registry: parts.registry,
    },
    request.signal,
  );
  return { kind: 'object', status: 201, body };
}

/** Types of bodies that differ from their resource's. */
const BODY_TYPES: Readonly<Record<string, readonly [apiVersion: string, kind: string]>> = {
  'serviceaccounts/token': ['authentication.k8s.io/v1', 'TokenRequest'],
};

function answeredType({ resource, route }: Call): string {
  const kind = BODY_TYPES[`${resource.names.plural}/${route.subresource}`];
  return (kind && typeOfKind(kind[0], kind[1])) ?? resource.type;
}
