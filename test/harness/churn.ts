/**
 * Pods started and ended on one host while its agent, its runtime daemon and its shims are killed at random moments,
 * and what must hold afterwards. Seeded: the same seed makes the same choices, though the machine's timing differs.
 */

import { readFileSync } from 'node:fs';
import type { Pod } from '../../pkg/api/generated/types.ts';
import { BUSYBOX, type Cluster } from './cluster.ts';

export interface ChurnOptions {
  readonly cluster: Cluster;
  readonly seed: number;
  /** Pods in all, and how many of them at a time. */
  readonly pods: number;
  readonly atOnce: number;
  /** Processes killed while each batch starts and ends; afterwards it is left to settle. */
  readonly killsABatch: number;
  /** Mean time between two kills; 500 ms when absent. */
  readonly killEveryMs?: number;
  /** How long a batch may take on a busy machine. */
  readonly batchTimeoutMs: number;
}

export interface ChurnReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly ended: number;
  /** How many of them the end of their shim took with it. */
  readonly lost: number;
}

const KILL_EVERY_MS = 500;
/** Every third pod runs until it is deleted, the others end by themselves with a code of their own. */
const STAYS_EACH = 3;
const CODES = 100;
const ENDS_WITHIN_MS = 1_500;
/** Of a container whose shim was killed: it is ended by SIGKILL, as nobody would see its end. */
const HARMED_CODE = 137;
const AGENT = /^\S*mini agent /;
const POD_LOGS = '/var/lib/mini/pods-logs';

export async function churn(options: ChurnOptions): Promise<ChurnReport> {
  const random = seeded(options.seed);
  const killer = new Killer(options, random);
  let ended = 0;
  let lost = 0;
  for (let first = 0; first < options.pods; first += options.atOnce) {
    const count = Math.min(options.atOnce, options.pods - first);
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    const done = await batch(options, { numbers, random, killer }).catch((cause: unknown) => {
      const told = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${told}\nKilled:\n${killer.history.join('\n')}`, { cause });
    });
    ended += done.length;
    lost += done.filter((pod) => codeIn(pod) === HARMED_CODE).length;
  }
  return { kills: killer.kills, ended, lost };
}

interface Batch {
  readonly numbers: readonly number[];
  readonly random: () => number;
  readonly killer: Killer;
}

/** Resolves to the pods that have ended by themselves. */
async function batch(
  options: ChurnOptions,
  { numbers, random, killer }: Batch,
): Promise<readonly Pod[]> {
  const { cluster, batchTimeoutMs } = options;
  const objects = numbers.map((number) => podOf(number, random()));
  await Promise.all([cluster.apply(...objects), killer.run()]);
  let last: readonly Pod[] = [];
  const settled = async () => {
    last = await churned(cluster);
    return last.length === numbers.length && last.every(isSettled);
  };
  await cluster.until('the pods', settled, batchTimeoutMs).catch((error: unknown) => {
    const stuck = last.filter((pod) => !isSettled(pod)).map(outlineOf);
    throw new Error(`Stuck: ${stuck.join('; ')}`, { cause: error });
  });
  const starts = await startsOf(cluster);
  const wrong = last.flatMap((pod) => problemsOf(pod, killer.harmed, starts));
  if (wrong.length > 0) throw new Error(`Lost, wrong or run twice:\n${wrong.join('\n')}`);
  const gone = async () => {
    await cluster.try(['delete', 'pods', '-l', 'app=churn', '--wait=false']);
    return (await churned(cluster)).length === 0;
  };
  await cluster.until('the pods to go', gone, batchTimeoutMs);
  return last.filter(({ spec }) => spec.restartPolicy === 'Never');
}

function podOf(number: number, chance: number) {
  const stays = number % STAYS_EACH === 0;
  const seconds = (chance * ENDS_WITHIN_MS) / 1000;
  const rest = stays ? 'exec sleep 100000' : `sleep ${seconds.toFixed(2)}; exit ${codeOf(number)}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `churn-${number}`, labels: { app: 'churn' } },
    spec: {
      restartPolicy: stays ? 'Always' : 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', `echo up; ${rest}`] }],
    },
  };
}

/** 1 to 100. */
function codeOf(number: number): number {
  return (number % CODES) + 1;
}

async function churned(cluster: Cluster): Promise<readonly Pod[]> {
  return JSON.parse(await cluster.kubectl('get', 'pods', '-l', 'app=churn', '-o', 'json')).items;
}

function isSettled({ spec, status }: Pod): boolean {
  if (spec.restartPolicy === 'Never') return status?.phase === 'Failed';
  return status?.containerStatuses?.[0]?.ready === true;
}

function outlineOf({ metadata, status }: Pod): string {
  const [container] = status?.containerStatuses ?? [];
  const { state, restartCount } = container ?? {};
  return `${metadata.name} ${JSON.stringify(state ?? status)} restarts=${restartCount}`;
}

/** How often each run of a container has begun, by `<pod's uid>/<attempt>`: it says so in its log. */
async function startsOf(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const script = `cd ${POD_LOGS} && grep -c ' stdout F up$' */c/*.log`;
  const { stdout } = await cluster.one.run(['sh', '-c', script]);
  const lines = stdout.matchAll(/_([^_/]+)\/c\/(\d+)\.log:(\d+)$/gm);
  return new Map([...lines].map(([, uid, attempt, count]) => [`${uid}/${attempt}`, Number(count)]));
}

function codeIn({ status }: Pod): number | undefined {
  return status?.containerStatuses?.[0]?.state?.terminated?.exitCode;
}

function problemsOf(
  pod: Pod,
  harmed: ReadonlySet<string>,
  starts: ReadonlyMap<string, number>,
): readonly string[] {
  const { uid } = pod.metadata;
  const isHarmed = (id: string | undefined) => harmed.has(id?.split('//')[1] ?? '');
  const runs = pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
  const counts = Array.from({ length: runs + 1 }, (_, at) => starts.get(`${uid}/${at}`) ?? 0);
  const problems = [
    ...counts.flatMap((count, at) => (count > 1 ? [`run ${at} began ${count} times`] : [])),
    ...(pod.spec.restartPolicy === 'Never'
      ? endProblems(pod, isHarmed, counts[0])
      : restartProblems(pod, isHarmed)),
  ];
  return problems.map((problem) => `${problem}: ${outlineOf(pod)}`);
}

type IsHarmed = (containerId: string | undefined) => boolean;

function endProblems(pod: Pod, isHarmed: IsHarmed, count: number | undefined): readonly string[] {
  const code = codeIn(pod);
  const expected = codeOf(Number(pod.metadata.name.split('-')[1]));
  if (code === expected) return count === 1 ? [] : ['has not run'];
  const isLost = isHarmed(pod.status?.containerStatuses?.[0]?.containerID);
  return code === HARMED_CODE && isLost ? [] : [`not ${expected}`];
}

function restartProblems({ status }: Pod, isHarmed: IsHarmed): readonly string[] {
  const [container] = status?.containerStatuses ?? [];
  if (!container?.restartCount) return [];
  const before = container.lastState?.terminated;
  const isLost = before?.exitCode === HARMED_CODE && isHarmed(before.containerID);
  return isLost ? [] : [`restarted after ${JSON.stringify(before)}`];
}

/** Kills one of its host's processes at a time, and remembers the containers whose shim it has killed. */
class Killer {
  readonly kills: Record<string, number> = { agent: 0, daemon: 0, shim: 0 };
  readonly harmed = new Set<string>();
  /** What was killed and when, for the reader of a failure. */
  readonly history: string[] = [];
  readonly #options: ChurnOptions;
  readonly #random: () => number;

  constructor(options: ChurnOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Kills what one batch is to suffer. */
  async run(): Promise<void> {
    const { killsABatch, killEveryMs = KILL_EVERY_MS } = this.#options;
    for (let i = 0; i < killsABatch; i += 1) {
      const waitMs = this.#random() * 2 * killEveryMs;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#kill();
    }
  }

  #kill(): void {
    const host = this.#options.cluster.one;
    const pick = <T>(all: readonly T[]): T | undefined =>
      all[Math.floor(this.#random() * all.length)];
    const choice = pick(['agent', 'daemon', 'shim', 'shim'] as const) ?? 'shim';
    const agents = new Set(host.pidsOf(AGENT));
    const helpers = host.pidsOf(/mini-runtime/);
    const candidates = {
      agent: [...agents],
      daemon: helpers.filter((pid) => nameOf(pid) === 'mini-serve' && agents.has(parentOf(pid))),
      // A container's first process has the name of its shim until it executes the program.
      shim: helpers.filter(
        (pid) => nameOf(pid) === 'mini-shim' && nameOf(parentOf(pid)) !== 'mini-shim',
      ),
    };
    const pid = pick(candidates[choice]);
    if (pid === undefined) return;
    try {
      // Before: one that has not yet named its container has not begun with it either.
      const [, id = ''] = /shim ([0-9a-f]{64}) /.exec(commandOf(pid)) ?? [];
      process.kill(pid, 'SIGKILL');
      if (choice === 'shim') this.harmed.add(id);
      this.kills[choice] = (this.kills[choice] ?? 0) + 1;
      this.history.push(`${new Date().toISOString()} ${choice} ${pid} ${id.slice(0, 12)}`);
    } catch {
      // It ended by itself.
    }
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

function nameOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

/** What a host with no pods must not have any more. */
export async function leftovers(cluster: Cluster): Promise<readonly string[]> {
  const { stdout } = await cluster.one.run(['sh', '-c', LEFTOVERS]);
  const shims = cluster.one.pidsOf(/mini-runtime/).filter((pid) => nameOf(pid) === 'mini-shim');
  return [...stdout.split('\n').filter(Boolean), ...shims.map((pid) => `shim ${pid}`)];
}

const LEFTOVERS = `
for d in /var/lib/mini/containers /var/lib/mini/sandboxes /var/lib/mini/pods /run/mini/containers /run/mini/sandboxes /run/mini/pods; do
  for f in $d/*; do [ -e "$f" ] && echo "$f"; done
done
ip -o link | sed -n 's/^[0-9]*: \\(mv[^@:]*\\).*/interface \\1/p'
grep -E ' (/run/mini|/var/lib/mini)/(containers|sandboxes|pods)/' /proc/mounts | sed 's/^/mount /'
find /sys/fs/cgroup -path '*/mini/*' -type d -name 'pod*' 2>/dev/null | sed 's/^/cgroup /'
grep -o '"inUse":{[^}]\\+}' /var/lib/mini/network/addresses.json
true
`;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
