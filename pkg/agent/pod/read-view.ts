/** Reads from the engine what the node has of one pod. */

import type { Pod } from '../../api/generated/types.ts';
import type { Engine } from '../../engine/engine.ts';
import type { RunHints } from './hints.ts';
import { sandboxId } from './labels.ts';
import { type PodView, viewOf } from './records.ts';

export function readView(engine: Engine, pod: Pod, hints: RunHints): PodView {
  const id = sandboxId(pod.metadata.uid);
  const containers = engine.listContainers(id);
  hints.collect(pod, containers);
  const sandbox = engine.getSandbox(id);
  return viewOf(sandbox, containers, hints);
}
