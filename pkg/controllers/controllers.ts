/** The table of controllers. Adding one is one file and one line here. */

import { certificateCleaner } from './certificate-cleaner.ts';
import type { Controller } from './controller.ts';
import { deployment } from './deployment.ts';
import { disruption } from './disruption.ts';
import { ephemeralVolume } from './ephemeral-volume.ts';
import { garbageCollector } from './garbage-collector.ts';
import { localPath } from './local-path.ts';
import { namespace } from './namespace.ts';
import { nodeIpam } from './node-ipam.ts';
import { type NodeLifecycleOptions, nodeLifecycle } from './node-lifecycle.ts';
import { type PodGcOptions, podGc } from './pod-gc.ts';
import { replicaset, replicationController } from './replicaset.ts';
import { rootCa } from './root-ca.ts';
import { serviceAccount } from './service-account.ts';
import { taintEviction } from './taint-eviction.ts';
import { volumeBinder } from './volume-binder.ts';
import { volumeExpand } from './volume-expand.ts';
import { claimProtection, classProtection, volumeProtection } from './volume-protection.ts';

export interface ControllersOptions extends NodeLifecycleOptions, PodGcOptions {
  /** Pod addresses of the cluster, `10.42.0.0/16`. */
  readonly clusterCidr: string;
  /** Certificate in PEM that pods trust the API server by. */
  readonly rootCa: string;
  /** Whether mini makes volumes itself, on its nodes. */
  readonly hasLocalStorage?: boolean;
}

/** All controllers of a cluster. */
export function allControllers(options: ControllersOptions): readonly Controller[] {
  return [
    deployment,
    replicaset,
    replicationController,
    garbageCollector,
    disruption,
    namespace,
    nodeLifecycle(options),
    taintEviction(),
    nodeIpam(options.clusterCidr),
    podGc(options),
    serviceAccount,
    rootCa(options.rootCa),
    volumeBinder,
    claimProtection,
    volumeProtection,
    classProtection,
    volumeExpand,
    ephemeralVolume,
    certificateCleaner,
    ...(options.hasLocalStorage ? [localPath] : []),
  ];
}
