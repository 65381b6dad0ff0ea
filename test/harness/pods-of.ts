/** What tests of pods ask of a cluster, again and again. */

import type { Pod } from '../../pkg/api/generated/types.ts';
import type { Cluster } from './cluster.ts';

const TIMEOUT_MS = 60_000;

/** Pods of the default namespace; cgroups of the first host, as files of v1 and v2. */
export function podsOf(cluster: Cluster) {
  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  return {
    cluster,
    get,
    /** The pod, once it is so. */
    when: (name: string, is: (pod: Pod) => boolean) =>
      cluster.until(
        `pod ${name}`,
        async () => {
          const pod = await get(name);
          return is(pod) ? pod : undefined;
        },
        TIMEOUT_MS,
      ),
    ready: (...names: readonly string[]) =>
      cluster.kubectl(
        'wait',
        '--for=condition=Ready',
        '--timeout=60s',
        ...names.map((name) => `pod/${name}`),
      ),
    cgroup: (path: string, v1: string, v2: string) =>
      cluster.one.readCgroup(`mini${path}`, { v1, v2 }),
  };
}
