/**
 * Where mini's own files are: beside the program that the launcher laid out (MINI_HOME), or in a checkout when run
 * from source. Sync with runtime/launcher/launcher.c and build.mjs (payloadFiles).
 */

import { join } from 'node:path';

export const VERSION = process.env['MINI_VERSION'] ?? '0.0.0-source';
/** The Kubernetes API that is served. */
export const KUBERNETES_VERSION = '1.36.0';

export interface Assets {
  /** The C helper. */
  readonly helper: string;
  /** The embedded sample image. */
  readonly helloImage: string;
  /** What `mini up` deploys. */
  readonly sample: string;
  readonly notices: string;
  /** Command line of nft: Debian's, through the loader that it came with. */
  readonly nft: readonly string[];
  /** Absent when run from source. */
  readonly store?: { readonly workerScript: string; readonly addon: string };
  /** Command line that starts mini again, for the agent that a server supervises. */
  readonly self: readonly [string, ...string[]];
}

/** Finds the files of this installation. */
export function findAssets(): Assets {
  const home = process.env['MINI_HOME'];
  if (home) {
    return {
      helper: join(home, 'mini-runtime'),
      helloImage: join(home, 'hello.tar'),
      sample: join(home, 'sample.yaml'),
      notices: join(home, 'NOTICES.txt'),
      nft: [join(home, 'nft/ld.so'), '--library-path', join(home, 'nft'), join(home, 'nft/nft')],
      store: {
        workerScript: join(home, 'store-worker.cjs'),
        addon: join(home, 'better_sqlite3.node'),
      },
      self: [process.execPath],
    };
  }
  const root = join(import.meta.dirname, '..');
  return {
    helper: join(root, 'dist/mini-runtime'),
    helloImage: join(root, 'dist/hello-amd64.tar'),
    sample: join(root, 'embedded/sample.yaml'),
    notices: join(root, 'LICENSE'),
    nft: ['nft'],
    self: [process.execPath, join(root, 'cmd/main.ts')],
  };
}
