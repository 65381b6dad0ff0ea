/** Requests to a server's API as raw as a test wants them: no client library in between, every header its own. */

import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import type { Host } from './hosts.ts';
import { reach } from './reach.ts';

const PORT = 6443;
const TIMEOUT_MS = 30_000;
const POLL_MS = 20;

export interface Identity {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly token?: string | undefined;
}

export interface RawRequest extends Identity {
  readonly method?: string;
  readonly body?: string | Buffer | object;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** JSON as it came; tests look into it without types. */
// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field.
export type Json = any;

export interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  readonly json: Json;
}

/** Events of one watch in the order of their arrival. */
interface Watching {
  readonly code: number;
  readonly events: readonly { readonly type: string; readonly object: Json }[];
  readonly isOver: () => boolean;
  /** Resolves when `check` holds for the events so far. */
  until(what: string, check: (events: Watching['events']) => boolean): Promise<void>;
  stop(): void;
}

export interface RawApi {
  readonly port: number;
  readonly ca: string;
  readonly admin: Identity;
  /** Any request; the administrator's unless it says who it is. */
  call(path: string, options?: RawRequest): Promise<Answer>;
  /** A request that must be answered with `code`; resolves to its JSON. */
  ok(path: string, options?: RawRequest & { readonly code?: number }): Promise<Json>;
  watch(path: string, identity?: Identity): Promise<Watching>;
  close(): Promise<void>;
}

/** Reaches the server of the host, whose API answers when this resolves. */
export async function rawApi(host: Host): Promise<RawApi> {
  const { ca, admin } = await kubeconfigOf(host);
  const reached = await reach(host, PORT);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const base = { host: '127.0.0.1', port: reached.port, ca };
  const open = (path: string, options: RawRequest) => {
    const { method = 'GET', body, type, headers = {}, signal, ...identity } = options;
    const { cert, key, token } = isSomeone(options) ? identity : admin;
    return request({
      ...base,
      path,
      method,
      ...(cert ? { cert, key } : {}),
      ...(signal ? { signal } : {}),
      agent,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { 'content-type': type ?? 'application/json' }),
        // Node sends a DELETE's body without saying how long it is.
        ...(method === 'DELETE' ? { 'content-length': String(lengthOf(body)) } : {}),
        ...headers,
      },
    });
  };
  const call = (path: string, options: RawRequest = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const outgoing = open(path, options);
      outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`${path} took too long`)));
      outgoing.on('error', reject).on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const code = response.statusCode ?? 0;
          resolve({ code, headers: response.headers, bytes, json: jsonOf(bytes) });
        });
      });
      outgoing.end(bytesOf(options.body));
    });
  return {
    port: reached.port,
    ca,
    admin,
    call,
    ok: async (path, { code, ...options } = {}) => {
      const answer = await call(path, options);
      const isWanted = code ? answer.code === code : answer.code < 300;
      if (isWanted) return answer.json;
      throw new Error(`${options.method ?? 'GET'} ${path}: ${answer.code} ${answer.bytes}`);
    },
    watch: (path, identity = admin) => watch(open(path, { ...identity })),
    close: async () => {
      agent.destroy();
      await reached.close();
    },
  };
}

/** No identity given means the administrator's; an empty one (`{ token: '' }`) means nobody's. */
function isSomeone({ cert, token }: Identity): boolean {
  return cert !== undefined || token !== undefined;
}

function watch(outgoing: ReturnType<typeof request>): Promise<Watching> {
  const events: { type: string; object: Json }[] = [];
  let isOver = false;
  return new Promise((resolve, reject) => {
    outgoing.on('error', (error) => {
      isOver = true;
      reject(error);
    });
    outgoing.on('response', (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) events.push(JSON.parse(line));
      });
      response
        .on('error', () => undefined)
        .on('close', () => {
          isOver = true;
        });
      resolve({
        code: response.statusCode ?? 0,
        events,
        isOver: () => isOver,
        until: (what, check) =>
          eventually(
            what,
            () => check(events),
            () => events.slice(-5),
          ),
        stop: () => outgoing.destroy(),
      });
    });
    outgoing.end();
  });
}

/** Resolves when the check holds; rejects after a while with what it saw. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  seen: () => unknown = () => '',
): Promise<void> {
  const deadlineMs = Date.now() + TIMEOUT_MS;
  while (!(await check())) {
    if (Date.now() > deadlineMs)
      throw new Error(`Waited ${TIMEOUT_MS} ms for ${what}: ${JSON.stringify(seen())}`);
    await sleep(POLL_MS);
  }
}

async function kubeconfigOf(host: Host): Promise<{ ca: string; admin: Identity }> {
  const path = '/etc/mini/kubeconfig.yaml';
  let text = '';
  await eventually(`${path} of ${host.name}`, async () => {
    const { stdout } = await host.run(['cat', path]);
    text = stdout;
    return text.includes('client-key-data');
  });
  const config = parse(text);
  const decoded = (value: string) => Buffer.from(value, 'base64').toString();
  const { user } = config.users[0];
  return {
    ca: decoded(config.clusters[0].cluster['certificate-authority-data']),
    admin: {
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
    },
  };
}

function bytesOf(body: RawRequest['body']): string | Buffer | undefined {
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return body;
  return JSON.stringify(body);
}

function lengthOf(body: RawRequest['body']): number {
  const bytes = bytesOf(body);
  return bytes === undefined ? 0 : Buffer.byteLength(bytes);
}

function jsonOf(bytes: Buffer): Json {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** Resident memory and open files of a process, as the kernel counts them. */
export function usageOf(pid: number): { readonly rssMb: number; readonly handles: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  return { rssMb: Math.round(rss), handles: readdirSync(`/proc/${pid}/fd`).length };
}
