/** Which verbs each subresource has: what discovery says and dispatch obeys. */

const WHOLE = ['get', 'patch', 'update'];
const PROXY = ['create', 'delete', 'get', 'patch', 'update'];
const VERBS: Readonly<Record<string, readonly string[]>> = {
  attach: ['create', 'get'],
  binding: ['create'],
  eviction: ['create'],
  exec: ['create', 'get'],
  finalize: ['update'],
  log: ['get'],
  portforward: ['create', 'get'],
  proxy: PROXY,
  token: ['create'],
};

/** The verbs of a subresource. */
export function subresourceVerbs(name: string): readonly string[] {
  return VERBS[name] ?? WHOLE;
}
