/** The image collection of a node, with what it needs of the host. */

import type { Engine } from '../../engine/engine.ts';
import type { Logger } from '../../log/log.ts';
import type { Clock } from '../../wait/clock.ts';
import type { NodeEvents } from '../events.ts';
import type { NodeLimits } from '../node/kubelet-args.ts';
import { nodeReference } from '../node/node-reference.ts';
import { diskOf, ImageGc } from './image-gc.ts';

interface GcParts {
  readonly engine: Engine;
  readonly dataDir: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `freeAll` removes every image that nobody uses: for whoever runs out of disk space. */
export function startImageGc(
  { engine, dataDir, nodeName, clock, log }: GcParts,
  { events, limits }: { readonly events: NodeEvents; readonly limits: NodeLimits },
) {
  const node = nodeReference(nodeName);
  const gc = new ImageGc({
    engine,
    clock,
    log,
    policy: limits.imageGc,
    disk: () => diskOf(dataDir),
    record: (details) => events.record(node, details),
  });
  return { freeAll: (signal: AbortSignal) => gc.freeAll(signal), close: () => gc.close() };
}
