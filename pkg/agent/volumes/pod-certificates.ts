/**
 * Certificates of pods for projected volumes: makes a key, asks the signer by a PodCertificateRequest, and asks again
 * with a new key when the signer says that it is time; the old certificate serves until the new one is there. What it
 * knows is lost with the agent: the next one asks anew.
 */

import type {
  Node,
  Pod,
  PodCertificateProjection,
  PodCertificateRequest,
} from '../../api/generated/types.ts';
import { type ApiObject, keyOf } from '../../api/meta.ts';
import { pemBlocks, toPem } from '../../api/pem.ts';
import type { Client } from '../../client/client.ts';
import type { Logger } from '../../log/log.ts';
import { makePodKey } from '../../pki/pod-key.ts';
import type { Clock } from '../../wait/clock.ts';
import { clockOffset } from '../../wait/clock-jumps.ts';
import type { EventDetails } from '../events.ts';
import { ObjectWatch } from '../object-watch.ts';

const REQUESTS = 'podcertificaterequests';
/** So that the pods of a node do not ask all at once. */
const JITTER_MAX_MS = 5 * 60_000;
/** A signer has that long before the pod is told. */
const OVERDUE_MS = 10 * 60_000;

/** Both in PEM. */
export interface Credentials {
  readonly key: string;
  readonly chain: string;
}

/** Times by the wall clock, as the signer has set them. */
interface Issued extends Credentials {
  readonly refreshAtMs: number;
  readonly expiresAtMs: number;
  /** Notices that the pod has had. */
  readonly told: Set<string>;
}

interface Notice {
  readonly atMs: number;
  readonly reason: string;
  readonly message: string;
}

interface Entry {
  readonly pod: Pod;
  /** The request that is not decided yet. */
  request?: { readonly key: string; readonly pem: string } | undefined;
  issued?: Issued | undefined;
  /** Why there will be none. */
  refusal?: string;
}

interface PodCertificatesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  record(pod: Pod, details: EventDetails): void;
  /** Called for the pod (by uid) of a request that was decided, or is gone. */
  onChange(uid: string): void;
}

export interface CertificateSource {
  readonly volume: string;
  /** Of the source among those of its volume. */
  readonly index: number;
  readonly projection: PodCertificateProjection;
}

export class PodCertificates {
  readonly #options: PodCertificatesOptions;
  /** By uid of the pod, then by volume and source. */
  readonly #pods = new Map<string, Map<string, Entry>>();
  /** Of this node's requests, while a pod has any. */
  #watch: ObjectWatch<PodCertificateRequest> | undefined;

  constructor(options: PodCertificatesOptions) {
    this.#options = options;
  }

  /** Rejects as long as there is no certificate; `onChange` tells when to ask again. */
  async get(pod: Pod, source: CertificateSource, signal: AbortSignal): Promise<Credentials> {
    const entry = this.#entry(pod, source);
    if (entry.refusal !== undefined) throw new Error(entry.refusal);
    const isDue = (entry.issued?.refreshAtMs ?? 0) <= this.#options.clock.now();
    if (isDue) this.#tellOverdue(entry);
    if (isDue && !entry.request) await this.#ask(entry, source.projection, signal);
    if (entry.refusal !== undefined) throw new Error(entry.refusal);
    if (!entry.issued) throw new Error('credential bundle is not issued yet');
    return entry.issued;
  }

  /** When the first of the pod's certificates must be asked for anew, or is told to be late; by the monotonic clock. */
  refreshAtMs(uid: string): number | undefined {
    const times = [...(this.#pods.get(uid)?.values() ?? [])].flatMap(
      ({ issued, refusal, request }) => {
        if (!issued || refusal !== undefined) return [];
        return request ? untold(issued).map(({ atMs }) => atMs) : [issued.refreshAtMs];
      },
    );
    if (times.length === 0) return undefined;
    return Math.min(...times) - clockOffset(this.#options.clock);
  }

  forget(uid: string): void {
    this.#pods.delete(uid);
    if (this.#pods.size > 0) return;
    void this.#watch?.close();
    this.#watch = undefined;
  }

  async close(): Promise<void> {
    this.#pods.clear();
    await this.#watch?.close();
  }

  #tellOverdue({ pod, issued }: Entry): void {
    const { clock, record } = this.#options;
    for (const { atMs, reason, message } of issued ? untold(issued) : []) {
      if (clock.now() < atMs) continue;
      issued?.told.add(reason);
      record(pod, { type: 'Warning', reason, message });
    }
  }

  #entry(pod: Pod, { volume, index }: CertificateSource): Entry {
    const { uid } = pod.metadata;
    const mine = this.#pods.get(uid) ?? new Map<string, Entry>();
    const entry = mine.get(`${volume}/${index}`) ?? { pod };
    this.#pods.set(uid, mine.set(`${volume}/${index}`, entry));
    return entry;
  }

  async #ask(entry: Entry, source: PodCertificateProjection, signal: AbortSignal): Promise<void> {
    const { client, nodeName } = this.#options;
    const { namespace = '', name, uid } = entry.pod.metadata;
    const { serviceAccountName = 'default' } = entry.pod.spec;
    const { keyType, signerName, maxExpirationSeconds, userAnnotations } = source;
    this.#follow();
    const [account, node, key] = await Promise.all([
      client.get<ApiObject>('serviceaccounts', { namespace, name: serviceAccountName }, signal),
      client.get<Node>('nodes', { name: nodeName }, signal),
      makePodKey(keyType),
    ]);
    const made = await client.create<PodCertificateRequest>(
      REQUESTS,
      {
        apiVersion: 'certificates.k8s.io/v1beta1',
        kind: 'PodCertificateRequest',
        metadata: {
          namespace,
          generateName: 'req-',
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
        },
        spec: {
          signerName,
          podName: name,
          podUID: uid,
          serviceAccountName,
          serviceAccountUID: account.metadata.uid,
          nodeName,
          nodeUID: node.metadata.uid,
          stubPKCS10Request: key.request.toString('base64'),
          ...(maxExpirationSeconds === undefined ? {} : { maxExpirationSeconds }),
          ...(userAnnotations ? { unverifiedUserAnnotations: userAnnotations } : {}),
        },
      },
      signal,
    );
    entry.request = { key: keyOf(made.metadata), pem: key.pem };
    // It may be decided already.
    this.#settle(entry, this.#watch?.get(entry.request.key) ?? made);
  }

  #follow(): void {
    const { client, clock, log, nodeName } = this.#options;
    this.#watch ??= new ObjectWatch<PodCertificateRequest>({
      client,
      clock,
      log,
      resource: REQUESTS,
      query: { fieldSelector: `spec.nodeName=${nodeName}` },
      onChange: (key, request) => this.#onChange(key, request),
    });
  }

  #onChange(key: string, request: PodCertificateRequest | undefined): void {
    for (const [uid, mine] of this.#pods) {
      for (const entry of mine.values()) {
        if (entry.request?.key !== key) continue;
        if (request) this.#settle(entry, request);
        else entry.request = undefined; // Somebody has removed it: another one is needed.
        if (!entry.request) this.#options.onChange(uid);
      }
    }
  }

  /** Takes what the signer has decided, if it has. */
  #settle(entry: Entry, { metadata, status }: PodCertificateRequest): void {
    const pem = entry.request?.pem;
    for (const { type, reason, message } of status?.conditions ?? []) {
      const why = `reason=${JSON.stringify(reason)}`;
      if (type === 'Issued' && pem !== undefined) {
        entry.issued = issuedBy(status, pem);
      } else if (type === 'Denied' || type === 'Failed') {
        const verb = type === 'Denied' ? 'denied' : 'failed';
        const tail = `${why} message=${JSON.stringify(message)}`;
        entry.refusal = `PodCertificateRequest was permanently ${verb}: ${tail}`;
        const was = type === 'Denied' ? 'was denied' : 'failed';
        const told = `PodCertificateRequest ${keyOf(metadata)} ${was}, ${why}, message=${JSON.stringify(message)}`;
        this.#options.record(entry.pod, { type: 'Warning', reason: type, message: told });
      } else continue;
      entry.request = undefined;
      return;
    }
  }
}

function issuedBy(status: PodCertificateRequest['status'], key: string): Issued {
  return {
    key,
    chain: cleaned(status?.certificateChain ?? ''),
    refreshAtMs: Date.parse(status?.beginRefreshAt ?? '') + Math.random() * JITTER_MAX_MS,
    expiresAtMs: Date.parse(status?.notAfter ?? ''),
    told: new Set(),
  };
}

/** What a pod is to hear of a certificate that nobody has renewed, and has not heard yet. */
function untold({ refreshAtMs, expiresAtMs, told }: Issued): readonly Notice[] {
  const overdue = 'PodCertificate refresh overdue';
  const notices = [
    { atMs: refreshAtMs + OVERDUE_MS, reason: 'CertificateOverdueForRefresh', message: overdue },
    { atMs: expiresAtMs, reason: 'CertificateExpired', message: 'PodCertificate expired' },
  ];
  return notices.filter(({ reason }) => !told.has(reason));
}

/** The certificates alone, without what may stand between them. */
function cleaned(chain: string): string {
  return pemBlocks(chain)
    .map(({ label, der }) => toPem(label, der))
    .join('');
}
