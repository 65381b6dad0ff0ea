/** /healthz, /livez and /readyz, with ?verbose, ?exclude and one path a check. */

import type { ServerRequest, ServerResponse } from './contract.ts';

export interface HealthCheck {
  readonly name: string;
  /** What is wrong, or undefined. */
  check(): string | undefined;
}

/** Serves a health path; undefined for other paths. */
export function health(
  checks: readonly HealthCheck[],
  request: ServerRequest,
): ServerResponse | undefined {
  const [root = '', name, ...rest] = request.path.slice(1).split('/');
  if (!['healthz', 'livez', 'readyz'].includes(root) || rest.length > 0) return undefined;
  if (name) {
    const one = checks.find((each) => each.name === name);
    return one && respond([one], { root, isVerbose: request.query.has('verbose') });
  }
  const excluded = request.query.getAll('exclude');
  const wanted = checks.filter((each) => !excluded.includes(each.name));
  return respond(wanted, { root, isVerbose: request.query.has('verbose') });
}

function respond(
  checks: readonly HealthCheck[],
  { root, isVerbose }: { readonly root: string; readonly isVerbose: boolean },
): ServerResponse {
  const results = checks.map((each) => ({ name: each.name, wrong: each.check() }));
  const isHealthy = results.every(({ wrong }) => wrong === undefined);
  if (isHealthy && !isVerbose) return text(200, 'ok');
  const lines = results.map(({ name, wrong }) =>
    wrong === undefined ? `[+]${name} ok` : `[-]${name} failed: ${wrong}`,
  );
  const last = `${root} check ${isHealthy ? 'passed' : 'failed'}`;
  return text(isHealthy ? 200 : 500, `${[...lines, last].join('\n')}\n`);
}

function text(status: number, body: string): ServerResponse {
  const contentType = 'text/plain; charset=utf-8';
  const headers = { 'x-content-type-options': 'nosniff' };
  return { kind: 'bytes', status, contentType, headers, body: Buffer.from(body) };
}
