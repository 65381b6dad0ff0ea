/**
 * The join tokens of a cluster under <dataDir>/server: `token` (and `node-token`, its k3s name) and `agent-token`.
 * Both are kept in their full form, so that a file's content is what `mini agent --token` takes.
 */

import { join } from 'node:path';
import { readIfPresent, writePrivateFile } from './file.ts';
import { caHash, formatToken, newPassword, parseToken } from './token.ts';

export interface ServerTokensOptions {
  /** <dataDir>/server */
  readonly dir: string;
  readonly ca: string;
  /** --token and --agent-token: a bare secret or a full token; replace what is stored. */
  readonly token?: string;
  readonly agentToken?: string;
}

export interface ServerTokens {
  /** Full tokens. */
  readonly token: string;
  readonly agentToken: string;
  /** Bare secrets by user of the token. */
  readonly passwords: Readonly<Record<string, string>>;
}

/** Loads the tokens, making what is missing. Throws on a file or flag that holds no token. */
export function loadServerTokens({
  dir,
  ca,
  token,
  agentToken,
}: ServerTokensOptions): ServerTokens {
  const hash = caHash(ca);
  const server = password(token, 'token') ?? storedPassword(join(dir, 'token')) ?? newPassword();
  // As in k3s, the agent token is the server's until it gets its own.
  const agent =
    password(agentToken, 'agent token') ?? storedPassword(join(dir, 'agent-token')) ?? server;
  const full = (user: string, secret: string) =>
    `${formatToken({ caHash: hash, secret: { kind: 'password', user, password: secret } })}\n`;
  const files = {
    token: full('server', server),
    'node-token': full('server', server),
    ...(agentToken !== undefined ? { 'agent-token': full('node', agent) } : {}),
  };
  for (const [name, text] of Object.entries(files)) {
    if (readIfPresent(join(dir, name)) !== text) writePrivateFile(join(dir, name), text);
  }
  return {
    token: full('server', server).trim(),
    agentToken: full('node', agent).trim(),
    passwords: { server, node: agent },
  };
}

/** Files hold full tokens, so that a damaged one is not taken for a secret. */
function storedPassword(path: string): string | undefined {
  const text = readIfPresent(path);
  if (text === undefined) return undefined;
  try {
    if (parseToken(text).caHash === undefined) throw new Error('It is not a full token');
    return password(text, 'token');
  } catch (error) {
    throw new Error(
      `${path} is damaged (${error instanceof Error ? error.message : error}): restore it, give the token with --token, or remove the file to have a new one; nodes that have joined do not need it`,
      { cause: error },
    );
  }
}

function password(text: string | undefined, what: string): string | undefined {
  if (text === undefined) return undefined;
  const { secret } = parseToken(text);
  if (secret.kind === 'password') return secret.password;
  throw new Error(
    `The ${what} of a server cannot be a bootstrap token; create these with mini token create`,
  );
}
