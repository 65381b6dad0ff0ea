/** The embedded sample image: imported once, pinned, so that `--image=mini/hello` works without a registry. */

import { createReadStream } from 'node:fs';
import type { ImageStore } from '../pkg/image/image-store.ts';

const HELLO_IMAGE = 'docker.io/mini/hello:latest';

/** Imports it unless this node has it. */
export async function importHello(images: ImageStore, archive: string): Promise<void> {
  if (images.get(HELLO_IMAGE)) return;
  await images.import(createReadStream(archive));
}
