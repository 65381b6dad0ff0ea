/**
 * Keeps the node's own Node object and Lease: registers, reports the status when it changed and every 5 minutes,
 * renews the lease every 10 s (the server takes 40 s without one for a dead node), waits for a pod CIDR.
 */

import { isReason } from '../../api/errors.ts';
import type { Lease, Node, NodeCondition } from '../../api/generated/types.ts';
import type { Client } from '../../client/client.ts';
import type { ImageStore } from '../../image/image-store.ts';
import type { Logger } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import { type Clock, sleep } from '../../wait/clock.ts';
import type { EventDetails, NodeEvents } from '../events.ts';
import type { Pressure } from '../eviction/thresholds.ts';
import { ObjectWatch } from '../object-watch.ts';
import type { HostInfo } from './host.ts';
import { nodeEvents, schedulingEvent, startingEvent } from './node-events.ts';
import { type NodeOptions, newNode, nodeLabels, nodeStatus } from './node-object.ts';
import { nodeReference } from './node-reference.ts';

const LEASE_NAMESPACE = 'kube-node-lease';
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const REPORT_MS = 300_000;
/** Images come in bursts: the status that lists them is written once for all of them, as soon as the kubelet's. */
const IMAGES_MS = 10_000;
/** Attempts of one status write against other writers before it counts as failed. */
const MAX_CONFLICTS = 10;
const RETRY = { firstMs: 100, maxMs: 5000, jitter: 0.5 };

export interface RegistrationOptions {
  readonly client: Client;
  readonly images: ImageStore;
  readonly options: NodeOptions;
  readonly host: HostInfo;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: NodeEvents;
  /** What the node runs short of. */
  pressure(): Pressure;
  /** Called with the pod CIDR once the server has assigned it; the node is Ready when it resolves. */
  setPodCidr(cidr: string): Promise<void>;
}

export class Registration {
  readonly #options: RegistrationOptions;
  readonly #controller = new AbortController();
  readonly #work: Promise<unknown>;
  #watch: ObjectWatch<Node> | undefined;
  #lease: Lease | undefined;
  /** As this agent wrote or saw it last. */
  #written: Node | undefined;
  #seen: Node | undefined;
  #notReady: string | undefined = 'waiting for the pod network';
  #wakeReport: () => void = () => undefined;
  #isRetired = false;
  #onWritten: () => void = () => undefined;
  readonly #unwatchImages: () => void;
  #cancelImages: (() => void) | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#unwatchImages = options.images.onChange(() => this.#imagesChanged());
    this.#work = Promise.all([this.#register(), this.#renew()]);
  }

  /** The node as the API has it; undefined before it has told. */
  get node(): Node | undefined {
    return this.#watch?.get(this.#options.options.nodeName);
  }

  /** From now on the node is not ready, for this reason; resolves once the API knows. */
  async retire(why: string): Promise<void> {
    this.#notReady = why;
    this.#isRetired = true;
    const written = new Promise<void>((resolve) => {
      this.#onWritten = resolve;
    });
    this.#wakeReport();
    await written;
  }

  /** Something of the status has changed: writes it now. */
  report(): void {
    this.#wakeReport();
  }

  async close(): Promise<void> {
    this.#controller.abort();
    this.#unwatchImages();
    this.#cancelImages?.();
    await this.#watch?.close();
    await this.#work;
  }

  #imagesChanged(): void {
    this.#cancelImages ??= this.#options.clock.after(IMAGES_MS, () => {
      this.#cancelImages = undefined;
      this.#wakeReport();
    });
  }

  async #register(): Promise<void> {
    const { signal } = this.#controller;
    this.tell(startingEvent());
    const node = await this.#retry('register the node', () => this.#createOrTake());
    if (!node || signal.aborted) return;
    let configured: Promise<void> | undefined;
    const configureOnce = ({ spec }: Node) => {
      if (spec?.podCIDR) configured ??= this.#configure(spec.podCIDR);
      return configured;
    };
    // A node that was here before stays Ready through a restart of its agent.
    await configureOnce(node);
    const { client, clock, log, options } = this.#options;
    this.#watch = new ObjectWatch<Node>({
      client,
      clock,
      log,
      resource: 'nodes',
      query: { fieldSelector: `metadata.name=${options.nodeName}` },
      onChange: (_key, current) => {
        if (!current) void this.#retry('register the node again', () => this.#createOrTake());
        else {
          void configureOnce(current);
          const event = schedulingEvent(this.#seen, current);
          if (event) this.tell(event);
          this.#seen = current;
          // A node that was cut off was taken for dead: it says at once that it is not.
          if (isTakenForDead(current)) this.#wakeReport();
        }
      },
    });
    await this.#report(node, signal);
  }

  async #configure(cidr: string): Promise<void> {
    await this.#retry('configure the pod network', () => this.#options.setPodCidr(cidr));
    if (this.#controller.signal.aborted) return;
    if (!this.#isRetired) this.#notReady = undefined;
    this.#options.log.info('Configured the pod network', { podCIDR: cidr });
    this.#wakeReport();
  }

  /** Creates the Node, or takes over the one of an earlier run: its labels are brought up to date, its taints kept. */
  async #createOrTake(): Promise<Node> {
    const { client, options, host } = this.#options;
    const { signal } = this.#controller;
    try {
      return await client.create<Node>('nodes', newNode(options, host) as never, signal);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
    const current = await client.get<Node>('nodes', { name: options.nodeName }, signal);
    const labels = { ...current.metadata.labels, ...nodeLabels(options, host) };
    const patch = { metadata: { labels, annotations: options.annotations } };
    return client.patch<Node>(
      'nodes',
      { name: options.nodeName },
      patch,
      { type: 'merge' },
      signal,
    );
  }

  /** Writes the status now, when something about it changed, and every REPORT_MS. */
  async #report(node: Node, signal: AbortSignal): Promise<void> {
    let current = node;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wakeReport = resolve;
      });
      const written = await this.#retry('report the node status', async () => {
        const latest = this.#watch?.get(this.#options.options.nodeName) ?? current;
        return this.#writeStatus(newer(latest, current));
      });
      current = written ?? current;
      const pause = sleep(REPORT_MS, signal, this.#options.clock).catch(() => undefined);
      await Promise.race([woken, pause]);
    }
  }

  async #writeStatus(old: Node): Promise<Node> {
    const { client, images, options, host, clock } = this.#options;
    const { signal } = this.#controller;
    const status = nodeStatus({
      options,
      host,
      pressure: this.#options.pressure(),
      images: images.list(),
      old,
      nowMs: clock.now(),
      ...(this.#notReady ? { notReady: this.#notReady } : {}),
    });
    let base = old;
    for (let tries = 0; ; tries += 1) {
      try {
        const node = await client.updateStatus<Node>('nodes', { ...base, status }, signal);
        for (const event of nodeEvents(this.#written, base, node)) this.tell(event);
        this.#written = node;
        if (this.#isRetired && status.conditions?.some(isNotReady)) this.#onWritten();
        return node;
      } catch (error) {
        // The server writes to the Node as well, most of all while it is new.
        if (!isReason(error, 'Conflict') || tries >= MAX_CONFLICTS) throw error;
        base = await client.get<Node>('nodes', { name: options.nodeName }, signal);
      }
    }
  }

  /** Records an event about the node. */
  tell(details: EventDetails): void {
    const { events, options } = this.#options;
    events.record(nodeReference(options.nodeName), details);
  }

  async #renew(): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted) {
      await this.#retry('renew the node lease', () => this.#renewOnce());
      await sleep(RENEW_MS, signal, this.#options.clock).catch(() => undefined);
    }
  }

  async #renewOnce(): Promise<void> {
    const { client, options, clock } = this.#options;
    const { signal } = this.#controller;
    const renewTime = new Date(clock.now()).toISOString().replace(/Z$/, '000Z');
    const spec = {
      holderIdentity: options.nodeName,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime,
    };
    if (this.#lease) {
      try {
        this.#lease = await client.update<Lease>('leases', { ...this.#lease, spec }, signal);
        return;
      } catch (error) {
        this.#lease = undefined;
        if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
      }
    }
    const ref = { namespace: LEASE_NAMESPACE, name: options.nodeName };
    try {
      const found = await client.get<Lease>('leases', ref, signal);
      this.#lease = await client.update<Lease>('leases', { ...found, spec }, signal);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref, spec };
      this.#lease = await client.create<Lease>('leases', lease, signal);
    }
  }

  /** Until it succeeds; undefined when the agent is closed before. */
  async #retry<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const backoff = new Backoff(RETRY);
    const { signal } = this.#controller;
    while (!signal.aborted) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) return undefined;
        this.#options.log.warn('Could not keep the node registered', { what, error });
        await sleep(backoff.next(), signal, this.#options.clock).catch(() => undefined);
      }
    }
    return undefined;
  }
}

/** The server writes Unknown over the conditions of a node whose lease has run out; the node itself never does. */
function isTakenForDead({ status }: Node): boolean {
  return (
    status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'Unknown') === true
  );
}

function isNotReady({ type, status }: NodeCondition): boolean {
  return type === 'Ready' && status === 'False';
}

function newer(a: Node, b: Node): Node {
  return BigInt(a.metadata.resourceVersion) >= BigInt(b.metadata.resourceVersion) ? a : b;
}
