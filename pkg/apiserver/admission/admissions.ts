/** The admission plug-ins in the order in which they run: what completes objects before what checks and counts them. */

import { createEscalationCheck } from '../auth/escalation.ts';
import type { Rbac } from '../auth/rbac.ts';
import type { Admission, Authorizer } from '../contract.ts';
import { certificates } from './certificates.ts';
import { limitRanger } from './limit-ranger.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import type { PortRange } from './node-ports.ts';
import { nodeRestriction } from './node-restriction.ts';
import { podCertificates } from './pod-certificates.ts';
import { defaultStorageClass, defaultTolerationSeconds } from './pod-defaults.ts';
import { priority } from './priority.ts';
import { resourceQuota } from './resource-quota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccount } from './service-account.ts';
import { serviceAddresses } from './service-addresses.ts';
import { claimResize, storageObjectInUseProtection } from './volumes.ts';

export interface AdmissionsOptions {
  readonly authorizer: Authorizer;
  readonly rbac: Rbac;
  /** --service-cidr, split at commas. */
  readonly serviceCidrs: readonly string[];
  readonly nodePorts?: PortRange;
  readonly now: () => number;
}

/** All plug-ins of the server. Throws on a service range that cannot be read. */
export function createAdmissions(options: AdmissionsOptions): readonly Admission[] {
  const { authorizer, rbac, serviceCidrs, nodePorts, now } = options;
  return [
    namespaceLifecycle,
    nodeRestriction,
    serviceAccount,
    limitRanger,
    priority,
    defaultTolerationSeconds,
    runtimeClass,
    defaultStorageClass,
    storageObjectInUseProtection,
    claimResize,
    certificates(authorizer),
    podCertificates(authorizer),
    createEscalationCheck({ authorizer, rbac }),
    serviceAddresses({ serviceCidrs, now, ...(nodePorts ? { nodePorts } : {}) }),
    resourceQuota({ now }),
  ];
}
