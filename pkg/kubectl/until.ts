/** Waits until objects come to a state, by watching them. */

import type { WatchEvent } from '../api/meta.ts';
import { type Api, type Live, type Place, pathOf } from './api.ts';
import { KubectlError } from './kubectl-error.ts';
import { unlessMissing } from './problems.ts';

type Named = Place & { readonly name: string };

/** Resolves when the object is gone, or another of its name has come. Zero waits without end. */
export async function untilGone(
  api: Api,
  place: Named & { readonly uid?: string },
  timeoutMs: number,
): Promise<void> {
  const current = await unlessMissing(api.get<Live>(place));
  if (!current || (place.uid && current.metadata.uid !== place.uid)) return;
  await follow({ api, place, current, timeoutMs }, ({ type, object }) =>
    type === 'DELETED' || object.metadata.uid !== current.metadata.uid ? true : undefined,
  );
}

/** Resolves to what `check` gives first for the object as it is or as it changes. */
export async function untilObject<T>(
  { api, place, timeoutMs }: { api: Api; place: Named; timeoutMs: number },
  check: (object: Live) => T | undefined,
): Promise<T> {
  const current = await api.get<Live>(place);
  const now = check(current);
  if (now !== undefined) return now;
  return follow({ api, place, current, timeoutMs }, ({ type, object }) => {
    if (type === 'DELETED') throw new KubectlError('object has been deleted');
    return check(object);
  });
}

interface Following {
  readonly api: Api;
  readonly place: Named;
  readonly current: Live;
  readonly timeoutMs: number;
}

async function follow<T>(
  { api, place, current, timeoutMs }: Following,
  check: (event: WatchEvent<Live>) => T | undefined,
): Promise<T> {
  const signal = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : new AbortController().signal;
  let { resourceVersion } = current.metadata;
  try {
    // Servers end watches after a while; the next one goes on where this one ended.
    for (;;) {
      for await (const event of watch(api, place, { resourceVersion, signal })) {
        resourceVersion = event.object.metadata.resourceVersion;
        const found = event.type === 'BOOKMARK' ? undefined : check(event);
        if (found !== undefined) return found;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new KubectlError(
      `timed out waiting for the condition on ${place.kind.plural}/${place.name}`,
      { cause: error },
    );
  }
}

function watch(
  api: Api,
  place: Named,
  { resourceVersion, signal }: { resourceVersion: string; signal: AbortSignal },
): AsyncIterable<WatchEvent<Live>> {
  const { name, ...collection } = place;
  const query = {
    watch: 'true',
    resourceVersion,
    allowWatchBookmarks: 'true',
    fieldSelector: `metadata.name=${name}`,
  };
  return decode(api.transport.watch({ method: 'GET', path: pathOf(collection), query }, signal));
}

/** The events of one object's watch carry that object. */
function decode(events: AsyncIterable<WatchEvent>): AsyncIterable<WatchEvent<Live>> {
  return events as AsyncIterable<WatchEvent<Live>>;
}
