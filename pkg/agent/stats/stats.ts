/** The node's measuring: nothing runs until somebody asks, and those who ask at once share one look. */

import type { NodeContext } from '../node-context.ts';
import type { Pods } from '../pod/pods.ts';
import { cgroupReader } from './cgroup-usage.ts';
import { DiskUsages } from './disk-usage.ts';
import { type Rate, Sampler } from './sampler.ts';
import { type Snapshot, subjectsOf, takeSnapshot } from './snapshot.ts';

export interface Measured {
  readonly snapshot: Snapshot;
  /** Processor use by NODE_KEY, pod uid and container id. */
  readonly rates: ReadonlyMap<string, Rate>;
}

interface StatsOptions {
  readonly nodeName: string;
  readonly context: NodeContext;
  readonly pods: Pods;
}

export class Stats {
  readonly nodeName: string;
  readonly context: NodeContext;
  readonly pods: Pods;
  readonly disks: DiskUsages;
  readonly #sampler: Sampler;
  readonly read = cgroupReader();
  #measuring: Promise<Measured> | undefined;

  constructor({ nodeName, context, pods }: StatsOptions) {
    this.nodeName = nodeName;
    this.context = context;
    this.pods = pods;
    this.disks = new DiskUsages(context.clock);
    this.#sampler = new Sampler(context.clock);
  }

  /** Counters of now. */
  snapshot(): Promise<Snapshot> {
    return takeSnapshot({ context: this.context, pods: this.pods, read: this.read });
  }

  /** Counters of now and the rates up to now; takes half a second when nobody has asked lately. */
  measure(): Promise<Measured> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #measure(): Promise<Measured> {
    let snapshot: Snapshot | undefined;
    const rates = await this.#sampler.rates(async () => {
      snapshot = await this.snapshot();
      return subjectsOf(snapshot);
    });
    return { snapshot: snapshot ?? (await this.snapshot()), rates };
  }
}
