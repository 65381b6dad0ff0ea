/** What the engine does not tell about a pod's containers: failed starts, and their termination messages. */

import { closeSync, openSync, readSync } from 'node:fs';
import type { Pod } from '../../api/generated/types.ts';
import type { ContainerInfo } from '../../engine/engine.ts';
import { tailSync } from '../logs/tail-sync.ts';
import { logPath, messagePath, type Paths } from '../paths.ts';
import { ATTEMPT, CONTAINER_NAME } from './labels.ts';
import { allContainers, type Hints } from './records.ts';

/** Kubernetes' limits of a termination message. */
const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

export class RunHints implements Hints {
  readonly #paths: Paths;
  readonly #startErrors = new Map<string, string>();
  readonly #messages = new Map<string, string>();

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  startError(id: string): string | undefined {
    return this.#startErrors.get(id);
  }

  message(id: string): string | undefined {
    return this.#messages.get(id);
  }

  setStartError(id: string, message: string): void {
    this.#startErrors.set(id, message);
  }

  /** Reads the messages of containers that ended since the last call, and forgets containers that are gone. */
  collect(pod: Pod, containers: readonly ContainerInfo[]): void {
    const ids = new Set(containers.map(({ id }) => id));
    for (const map of [this.#startErrors, this.#messages]) {
      for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
    }
    for (const info of containers) {
      if (info.status === 'exited' && !this.#messages.has(info.id)) {
        this.#messages.set(info.id, this.#read(pod, info));
      }
    }
  }

  #read(pod: Pod, { labels, exit }: ContainerInfo): string {
    const run = { container: labels[CONTAINER_NAME] ?? '', attempt: Number(labels[ATTEMPT] ?? 0) };
    const text = readStart(messagePath(this.#paths, pod.metadata.uid, run));
    const spec = allContainers(pod).find(({ name }) => name === run.container);
    const usesLog = spec?.terminationMessagePolicy === 'FallbackToLogsOnError';
    if (text !== '' || !usesLog || exit?.exitCode === 0) return text;
    return tailSync(logPath(this.#paths, pod, run), {
      maxBytes: MAX_LOG_BYTES,
      maxLines: MAX_LOG_LINES,
    });
  }
}

function readStart(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(MAX_MESSAGE_BYTES);
      return buffer.toString('utf8', 0, readSync(file, buffer, 0, MAX_MESSAGE_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return ''; // No message file: the container was never started.
  }
}
