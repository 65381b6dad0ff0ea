/** What each node measures, asked of it when somebody wants it; who asks at the same time shares one answer. */

import type { Clock } from '../wait/clock.ts';
import type { NodeConnector } from './contract.ts';
import { bodyOf, refusalOf, requestNode } from './node-http.ts';

/** What a node answers to GET /stats/usage. */
export interface NodeUsage {
  readonly timestamp: string;
  readonly node: Amounts;
  readonly pods: readonly {
    readonly uid: string;
    readonly containers: readonly (Amounts & { readonly name: string })[];
  }[];
}

export interface Amounts {
  readonly windowMs: number;
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
}

/** An answer is good for as long as the node itself keeps a rate. */
const KEPT_MS = 1_000;
/** A node that does not answer sooner is left out. */
const TIMEOUT_MS = 5_000;
/** Of 10,000 containers, generously. */
const ANSWER_MAX_BYTES = 8 * 1024 * 1024;

interface Kept {
  readonly atMs: number;
  readonly usage: Promise<NodeUsage>;
}

export class NodeUsages {
  readonly #nodes: NodeConnector;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor({ nodes, clock }: { readonly nodes: NodeConnector; readonly clock: Clock }) {
    this.#nodes = nodes;
    this.#clock = clock;
  }

  /** Rejects with ServiceUnavailable when the node does not answer. */
  of(node: string): Promise<NodeUsage> {
    const nowMs = this.#clock.monotonic();
    for (const [name, { atMs }] of this.#kept)
      if (Math.abs(nowMs - atMs) >= KEPT_MS + TIMEOUT_MS) this.#kept.delete(name);
    const known = this.#kept.get(node);
    if (known && Math.abs(nowMs - known.atMs) < KEPT_MS) return known.usage;
    const usage = this.#ask(node);
    this.#kept.set(node, { atMs: nowMs, usage });
    usage.catch(() => {
      if (this.#kept.get(node)?.usage === usage) this.#kept.delete(node);
    });
    return usage;
  }

  async #ask(node: string): Promise<NodeUsage> {
    const request = { node, method: 'GET', path: '/stats/usage', headers: {} };
    const response = await requestNode(this.#nodes, request, AbortSignal.timeout(TIMEOUT_MS));
    if (response.statusCode !== 200) throw await refusalOf(response);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of bodyOf(response)) {
      size += chunk.length;
      if (size > ANSWER_MAX_BYTES) throw new Error(`node ${node} answers with too much`);
      chunks.push(chunk);
    }
    return decode(Buffer.concat(chunks));
  }
}

/** A node is part of this program, of this or a neighbouring version. */
function decode(text: Buffer): NodeUsage {
  return JSON.parse(text.toString('utf8')) as NodeUsage;
}
