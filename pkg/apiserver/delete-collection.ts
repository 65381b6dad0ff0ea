/** DELETE of a collection: each object that the selectors name, a few at a time. */

import { isReason } from '../api/errors.ts';
import type { ApiObject } from '../api/meta.ts';
import { admission } from './admit.ts';
import type { ServerResponse } from './contract.ts';
import { decodeOptions } from './decode.ts';
import { deleteObject } from './delete.ts';
import { deleteOptionsOf } from './delete-options.ts';
import { collect, listOf } from './list.ts';
import type { Call, Parts } from './parts.ts';
import { respondList } from './respond.ts';
import { refIn } from './write.ts';

/** Deletes under way at a time. */
const PARALLEL_MAX = 64;

/** Serves DELETE of a collection; answers with the objects that it deleted or marked. */
export async function deleteCollection(parts: Parts, call: Call): Promise<ServerResponse> {
  const { request, resource } = call;
  const options = deleteOptionsOf(request.query, decodeOptions(request));
  const admit = admission(parts, call, options.isDryRun);
  const { items, metadata } = await collect(parts, call);
  const remove = async ({ metadata: { namespace = '', name } }: ApiObject) => {
    try {
      await deleteObject(parts, { resource, ref: refIn(namespace, name), options, admit });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error; // Gone already: as wanted.
    }
  };
  for (let start = 0; start < items.length; start += PARALLEL_MAX) {
    await Promise.all(items.slice(start, start + PARALLEL_MAX).map(remove));
  }
  return respondList(parts, call, listOf(resource, { metadata, items }));
}
