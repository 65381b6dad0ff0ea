/**
 * Program: creates ConfigMaps, several at a time, and watches them, through whatever happens to the server. Prints a line
 * for each write that was acknowledged (`acked NAME REVISION`) and each event (`seen NAME REVISION`), and ends at
 * SIGTERM, when events of the last writes have come. Usage: node load.ts <kubeconfig>
 */

import { isReason } from '../../pkg/api/errors.ts';
import type { ConfigMap } from '../../pkg/api/generated/types.ts';
import { createClient } from '../../pkg/client/create-client.ts';
import { httpTransport } from '../../pkg/client/http-transport.ts';
import { loadKubeconfig } from '../../pkg/client/kubeconfig.ts';

const NAMESPACE = 'load';
const WRITERS = 8;
const PAUSE_MS = 20;
const SETTLE_MS = 1_000;

const say = (...words: readonly string[]) => process.stdout.write(`${words.join(' ')}\n`);
const pause = () => new Promise((next) => setTimeout(next, PAUSE_MS));
const ending = new AbortController();
let isOver = false;

async function write(writer: number): Promise<void> {
  for (let n = 0; !isOver; n += 1) {
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: NAMESPACE, name: `load-${writer}-${n}` },
    };
    try {
      const made = await client.create<ConfigMap>('configmaps', object);
      say('acked', made.metadata.name, made.metadata.resourceVersion);
    } catch (error) {
      say('failed', object.metadata.name, String(error));
    }
    await pause();
  }
}

/** Goes on after each break from the last revision it saw: a server that has forgotten it would be a failure. */
async function follow(): Promise<void> {
  let { resourceVersion } = (await client.list('configmaps', { namespace: NAMESPACE })).metadata;
  while (!ending.signal.aborted) {
    try {
      const query = { namespace: NAMESPACE, resourceVersion, allowWatchBookmarks: false };
      for await (const { type, object } of client.watch('configmaps', query, ending.signal)) {
        resourceVersion = object.metadata.resourceVersion;
        say(type === 'ADDED' ? 'seen' : type, object.metadata.name, resourceVersion ?? '');
      }
    } catch (error) {
      if (isReason(error, 'Expired')) say('gap', String(error));
    }
    await pause();
  }
}

const client = createClient(
  httpTransport(loadKubeconfig({ paths: process.argv.slice(2) }).transport),
);
process.once('SIGTERM', () => {
  isOver = true;
  setTimeout(() => ending.abort(new Error('over')), SETTLE_MS);
});
await Promise.all([follow(), ...Array.from({ length: WRITERS }, (_, writer) => write(writer))]);
