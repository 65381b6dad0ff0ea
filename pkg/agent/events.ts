/** Events about pods and the node as the kubelet writes them. */

import type { ApiObject } from '../api/meta.ts';
import type { Client } from '../client/client.ts';
import { EventWriter } from '../client/event-writer.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../wait/clock.ts';

export interface EventDetails {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** The container it is about. */
  readonly container?: string;
  /** Default: containers. */
  readonly field?: 'initContainers' | 'containers' | 'ephemeralContainers';
}

interface RecorderOptions {
  readonly client: Client;
  readonly nodeName: string;
  readonly log: Logger;
  readonly clock: Clock;
}

export class NodeEvents {
  readonly #writer: EventWriter;

  constructor({ nodeName, ...options }: RecorderOptions) {
    this.#writer = new EventWriter({ ...options, component: 'kubelet', host: nodeName });
  }

  /** Never throws. Events that cannot be written now are kept for a while. */
  record(object: ApiObject, { container, field = 'containers', ...text }: EventDetails): void {
    const part = container ? { fieldPath: `spec.${field}{${container}}` } : {};
    this.#writer.record(object, { ...text, ...part });
  }

  close(): void {
    this.#writer.close();
  }
}
