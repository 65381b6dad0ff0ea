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
  /** How long a batch may take on a busy machine. */
  readonly batchTimeoutMs: number;
}

export interface ChurnReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly ended: number;
}

/** Mean time between two kills. */
const KILL_EVERY_MS = 500;
/** Every third pod runs until it is deleted, the others end by themselves with a code of their own. */
const STAYS_EACH = 3;
const CODES = 100;
const ENDS_WITHIN_MS = 1_500;
/** Of a container whose shim was killed: its own end may be seen by nobody. */
const HARMED_CODES = [137, 255];
/** Of a container whose start was cut off: also StartError. */
const CUT_OFF_CODES = [...HARMED_CODES, 128];
const AGENT = /^\S*mini agent /;

export async function churn(options: ChurnOptions): Promise<ChurnReport> {
  const random = seeded(options.seed);
  const killer = new Killer(options, random);
  let ended = 0;
  for (let first = 0; first < options.pods; first += options.atOnce) {
    const count = Math.min(options.atOnce, options.pods - first);
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    ended += await batch(options, { numbers, random, killer });
  }
  return { kills: killer.kills, ended };
}

interface Batch {
  readonly numbers: readonly number[];
  readonly random: () => number;
  readonly killer: Killer;
}

async function batch(options: ChurnOptions, { numbers, random, killer }: Batch): Promise<number> {
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
  const suspects = last.flatMap((pod) => problemOf(pod, killer.harmed));
  const wrong: string[] = [];
  for (const { name, code, text } of suspects) {
    // A start that was cut off before the program ran has no exit code to lose.
    const hasRun = (await cluster.try(['logs', name])).stdout !== '';
    if (hasRun || !CUT_OFF_CODES.includes(code)) wrong.push(text);
  }
  if (wrong.length > 0) throw new Error(`Lost or wrong exit codes: ${wrong.join('; ')}`);
  const gone = async () => {
    await cluster.try(['delete', 'pods', '-l', 'app=churn', '--wait=false']);
    return (await churned(cluster)).length === 0;
  };
  await cluster.until('the pods to go', gone, batchTimeoutMs);
  return last.filter(({ spec }) => spec.restartPolicy === 'Never').length;
}

function podOf(number: number, chance: number) {
  const stays = number % STAYS_EACH === 0;
  const seconds = (chance * ENDS_WITHIN_MS) / 1000;
  const script = stays
    ? 'sleep 100000'
    : `echo up; sleep ${seconds.toFixed(2)}; exit ${codeOf(number)}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `churn-${number}`, labels: { app: 'churn' } },
    spec: {
      restartPolicy: stays ? 'Always' : 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: BUSYBOX, command: ['sh', '-c', script] }],
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
  return `${metadata.name} ${JSON.stringify(status?.containerStatuses?.[0]?.state ?? status)}`;
}

interface Suspect {
  readonly name: string;
  readonly code: number;
  readonly text: string;
}

function problemOf(pod: Pod, harmed: ReadonlySet<string>): readonly Suspect[] {
  if (pod.spec.restartPolicy !== 'Never') return [];
  const { name } = pod.metadata;
  const [container] = pod.status?.containerStatuses ?? [];
  const code = container?.state?.terminated?.exitCode ?? -1;
  const expected = codeOf(Number(name.split('-')[1]));
  const isHarmed = harmed.has(container?.containerID?.split('//')[1] ?? '');
  if (code === expected || (isHarmed && HARMED_CODES.includes(code))) return [];
  return [{ name, code, text: `${outlineOf(pod)} instead of ${expected}` }];
}

/** Kills one of its host's processes at a time, and remembers the containers whose shim it has killed. */
class Killer {
  readonly kills: Record<string, number> = { agent: 0, daemon: 0, shim: 0 };
  readonly harmed = new Set<string>();
  readonly #options: ChurnOptions;
  readonly #random: () => number;

  constructor(options: ChurnOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Kills what one batch is to suffer. */
  async run(): Promise<void> {
    for (let i = 0; i < this.#options.killsABatch; i += 1) {
      const waitMs = this.#random() * 2 * KILL_EVERY_MS;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#kill();
    }
  }

  #kill(): void {
    const host = this.#options.cluster.one;
    const pick = <T>(all: readonly T[]): T | undefined =>
      all[Math.floor(this.#random() * all.length)];
    const choice = pick(['agent', 'daemon', 'shim', 'shim'] as const);
    const agents = new Set(host.pidsOf(AGENT));
    if (choice !== 'shim') {
      const served = host.pidsOf(/mini-runtime serve/);
      const daemons = served.filter((pid) => agents.has(parentOf(pid)));
      this.#end(choice ?? 'agent', pick(choice === 'daemon' ? daemons : [...agents]));
      return;
    }
    const shims = host.pidsOf(/mini-runtime/).filter((pid) => nameOf(pid) === 'mini-shim');
    // One that is just starting or ending a container cannot be told whose it is.
    const known = shims.map((pid) => ({ pid, id: containerBelow(pid) }));
    const shim = pick(known.filter(({ id }) => id !== undefined));
    if (shim?.id === undefined) return;
    this.harmed.add(shim.id);
    this.#end('shim', shim.pid);
  }

  #end(what: string, pid: number | undefined): void {
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
      this.kills[what] = (this.kills[what] ?? 0) + 1;
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

/** The id of the container that a shim looks after: the name of its child's cgroup. */
function containerBelow(shim: number): string | undefined {
  const children = read(`/proc/${shim}/task/${shim}/children`).trim().split(' ').filter(Boolean);
  const groups = children.map((pid) => read(`/proc/${pid}/cgroup`));
  return /[0-9a-f]{64}/.exec(groups.join('\n'))?.[0];
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
