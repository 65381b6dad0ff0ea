/**
 * The cgroups above those of pods: all pods' own, with what is not reserved, and one for each lower quality of
 * service. Burstable pods together weigh what they ask for; best-effort pods get what nobody else wants.
 */

import type { Pod } from '../../api/generated/types.ts';
import { podAmount } from '../../api/pod-resources.ts';
import { qosClass } from '../../api/resources/pod-qos.ts';
import type { Resources } from '../../engine/engine.ts';
import type { NodeContext } from '../node-context.ts';
import { toShares } from '../pod/resources.ts';

/** Pods come in bursts: the weight is written once for all of them. */
const UPDATE_DELAY_MS = 1000;

type QosCgroupsOptions = Pick<NodeContext, 'engine' | 'clock' | 'log' | 'cgroupRoot'> & {
  /** Limits of all pods together. */
  readonly whole: Resources;
};

/** Makes the cgroups; to be called before the first pod is started. */
export async function openQosCgroups(options: QosCgroupsOptions): Promise<QosCgroups> {
  const cgroups = new QosCgroups(options);
  await cgroups.open();
  return cgroups;
}

class QosCgroups {
  readonly #options: QosCgroupsOptions;
  #shares = toShares(0);
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(options: QosCgroupsOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { cgroupRoot: root, whole } = this.#options;
    await this.#set(root, whole);
    await this.#set(`${root}/burstable`, { cpuShares: this.#shares });
    await this.#set(`${root}/besteffort`, { cpuShares: toShares(0) });
  }

  /** Pods have come, gone or changed. */
  podsChanged(list: () => readonly Pod[]): void {
    if (this.#isClosed) return;
    this.#cancel ??= this.#options.clock.after(UPDATE_DELAY_MS, () => {
      this.#cancel = undefined;
      const shares = burstableShares(list());
      if (shares === this.#shares) return;
      this.#shares = shares;
      void this.#set(`${this.#options.cgroupRoot}/burstable`, { cpuShares: shares });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  /** A host that does not let cgroups be made says so again, for each container, where it matters. */
  async #set(path: string, resources: Resources): Promise<void> {
    const { engine, log } = this.#options;
    await engine.setCgroup(path, resources).catch((error: unknown) => {
      if (!this.#isClosed) log.warn('Could not set a cgroup', { path, error });
    });
  }
}

/** Shares of all burstable pods together. */
function burstableShares(pods: readonly Pod[]): number {
  const burstable = pods.filter(({ spec }) => qosClass(spec) === 'Burstable');
  return toShares(burstable.reduce((sum, pod) => sum + podAmount(pod, 'requests', 'cpu'), 0));
}
