/**
 * Making containers and sandboxes though daemon, shim or maker may be killed at any moment. A request whose
 * connection ends without an answer is one that nobody carries out any more: what became of it is on disk.
 */

import type { Daemon } from './daemon.ts';
import { isUnanswered } from './daemon.ts';
import { decodeState } from './decode.ts';
import type { ContainerState } from './runtime.ts';
import { RuntimeError } from './runtime.ts';

/** How often one is made that is cut off each time. */
const ATTEMPTS_MAX = 5;
interface Making {
  readonly verb: 'create' | 'run' | 'start' | 'sandbox-create';
  readonly id: string;
  readonly [field: string]: unknown;
}

export class Makes {
  readonly #daemon: Daemon;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Nothing of a container that was only created has run: it is made anew. */
  create(spec: { readonly id: string }, signal?: AbortSignal): Promise<unknown> {
    return this.#attempt({ verb: 'create', ...spec }, () => this.#delete(spec.id), signal);
  }

  /** Never runs it twice: one that may have run is answered as what it is now, ended or not. */
  run(spec: { readonly id: string }, signal?: AbortSignal): Promise<unknown> {
    const find = async () => (await this.state(spec.id)) ?? this.#delete(spec.id);
    return this.#attempt({ verb: 'run', ...spec }, find, signal);
  }

  start(id: string): Promise<unknown> {
    const find = async () => {
      const state = await this.state(id);
      return state?.status === 'created' ? undefined : state;
    };
    return this.#attempt({ verb: 'start', id }, find);
  }

  createSandbox(spec: { readonly id: string }, signal?: AbortSignal): Promise<unknown> {
    const clear = async () => {
      await this.#daemon.call({ verb: 'sandbox-delete', id: spec.id });
    };
    return this.#attempt({ verb: 'sandbox-create', ...spec }, clear, signal);
  }

  /** Undefined when there is no such container. */
  async state(id: string): Promise<ContainerState | undefined> {
    try {
      return decodeState(await this.#daemon.call({ verb: 'state', id }));
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #delete(id: string): Promise<undefined> {
    await this.#daemon.call({ verb: 'delete', id, isForced: true });
    return undefined;
  }

  /** `find` tells what a request that was cut off has come to; undefined = nothing, it can be sent again. */
  async #attempt(
    request: Making,
    find: () => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#daemon.call(request, signal);
      } catch (error) {
        if (!isOpen(error)) throw error;
        const found = await find();
        if (found !== undefined) return found;
        if (attempt === ATTEMPTS_MAX || !isCutOff(error)) throw error;
      }
    }
  }
}

/** It was cut off, or what its maker found was removed by who cleaned up after another one. */
function isCutOff(error: unknown): boolean {
  return isUnanswered(error) || (error instanceof RuntimeError && error.code === 'ESTALE');
}

/** What came of it is not known. */
function isOpen(error: unknown): boolean {
  return isCutOff(error) || (error instanceof RuntimeError && error.code === 'ETIMEDOUT');
}
