/** The status of a static pod: kept here, and written to the pod's mirror in the API whenever there is one. */

import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { type PodWriter, StatusWriter, type WriterOptions } from '../pod/status-writer.ts';

export class MirrorWriter implements PodWriter {
  readonly #options: WriterOptions;
  #base: Pod;
  #mirror: StatusWriter | undefined;

  constructor(pod: Pod, options: WriterOptions) {
    this.#base = pod;
    this.#options = options;
  }

  get pod(): Pod {
    return this.#base;
  }

  observe(pod: Pod): void {
    const { status } = this.#base;
    this.#base = { ...pod, ...(status ? { status } : {}) };
  }

  /** Takes in the mirror as the API has it; undefined when it is gone. */
  mirror(pod: Pod | undefined): void {
    if (pod && this.#mirror?.pod.metadata.uid === pod.metadata.uid) {
      this.#mirror.observe(pod);
      return;
    }
    this.#mirror?.close();
    this.#mirror = pod && new StatusWriter(pod, this.#options);
    const { status } = this.#base;
    // After a restart of the agent the mirror knows how often the containers have been restarted.
    if (pod?.status?.startTime && !status)
      this.#base = { ...this.#base, status: revived(pod.status) };
    else if (status) this.#mirror?.set(status);
  }

  set(status: PodStatus): void {
    this.#base = { ...this.#base, status };
    this.#mirror?.set(status);
  }

  async flush(): Promise<void> {
    await this.#mirror?.flush();
  }

  close(): void {
    this.#mirror?.close();
  }
}

/** A pod that its node has ended runs again with the node; one that has come to its own end does not. */
function revived({ phase, reason, message, ...rest }: PodStatus): PodStatus {
  const hasEndedItself = reason === undefined || reason === 'DeadlineExceeded';
  if (phase !== 'Failed' || hasEndedItself)
    return { ...rest, ...(phase ? { phase } : {}), ...(reason ? { reason, message } : {}) };
  const conditions = (rest.conditions ?? []).filter(({ type }) => type !== 'DisruptionTarget');
  return { ...rest, phase: 'Pending', conditions };
}
