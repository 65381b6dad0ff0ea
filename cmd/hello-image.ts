/** The embedded sample image: imported once, pinned, so that `--image=mini/hello` works without a registry. */

import { createReadStream } from 'node:fs';
import type { ImageStore } from '../pkg/image/image-store.ts';

const HELLO_IMAGE = 'docker.io/mini/hello:latest';

/**
 * Imports it; what is there already is neither read again nor unpacked. The one that an earlier version carried is
 * removed, which whoever still runs it does not notice.
 */
export async function importHello(images: ImageStore, archive: string): Promise<void> {
  const old = images.get(HELLO_IMAGE);
  await images.import(createReadStream(archive));
  const current = images.get(HELLO_IMAGE);
  const isReplaced = old !== undefined && old.id !== current?.id;
  if (isReplaced && images.get(old.id)?.tags.length === 0) await images.remove(old.id);
}
