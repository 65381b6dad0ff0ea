/**
 * `npm run soak`: what takes too long for `npm test`. First 500 pod starts and ends while agent, runtime daemon and
 * shims are killed at random moments; then ten minutes of pods that come and go, with memory and descriptors of server
 * and agent told each minute. Ends with 1 when something is lost, stuck, left behind, or grows.
 *
 *     npm run soak -- --pods 500 --at-once 50 --kills 5 --minutes 10 --churn 500 --seed 1
 */

import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { churn, leftovers } from '../harness/churn.ts';
import { type Cluster, clusterOf } from '../harness/cluster.ts';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '500' },
    'at-once': { type: 'string', default: '50' },
    kills: { type: 'string', default: '5' },
    minutes: { type: 'string', default: '10' },
    churn: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const [pods, atOnce, killsABatch, minutes, churned, seed] = [
  values.pods,
  values['at-once'],
  values.kills,
  values.minutes,
  values.churn,
  values.seed,
].map(Number) as [number, number, number, number, number, number];
const BATCH_TIMEOUT_MS = 300_000;
/** After the first rounds, which fill caches; above this share of growth something leaks. */
const WARM_UP_ROUNDS = 2;
const GROWTH_MAX = 1.3;
const MINUTE_MS = 60_000;

interface Sample {
  readonly mb: number;
  readonly descriptors: number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function sampleOf(pid: number): Sample {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return {
    mb: Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** Server and agent, as seen from outside of their host. */
function samples(cluster: Cluster): Readonly<Record<string, Sample>> {
  const found = (pattern: RegExp) => cluster.one.pidsOf(pattern)[0];
  const pids = { server: found(/^\S*mini server/), agent: found(/^\S*mini agent /) };
  return Object.fromEntries(
    Object.entries(pids).flatMap(([name, pid]) => (pid ? [[name, sampleOf(pid)]] : [])),
  );
}

function tell(when: string, now: Readonly<Record<string, Sample>>): void {
  const parts = Object.entries(now).map(
    ([name, { mb, descriptors }]) => `${name} ${mb.toFixed(0)} MB PSS, ${descriptors} descriptors`,
  );
  say(`${when}: ${parts.join('; ')}`);
}

async function checkLeftovers(cluster: Cluster): Promise<void> {
  await cluster.until('nothing to be left', async () => {
    const left = await leftovers(cluster);
    if (left.length > 0) throw new Error(left.join('\n'));
    return true;
  });
}

const cluster = await clusterOf(1);
try {
  say(`seed ${seed}`);
  const shared = { cluster, atOnce, batchTimeoutMs: BATCH_TIMEOUT_MS };
  const report = await churn({ ...shared, seed, pods, killsABatch });
  say(`${pods} pods, ${report.ended} ends seen, killed ${JSON.stringify(report.kills)}`);
  await checkLeftovers(cluster);
  const history: Readonly<Record<string, Sample>>[] = [];
  const endMs = Date.now() + minutes * MINUTE_MS;
  let toldMs = 0;
  for (let round = 1; Date.now() < endMs; round += 1) {
    await churn({ ...shared, seed: seed + round, pods: churned, killsABatch: 0 });
    history.push(samples(cluster));
    if (Date.now() - toldMs >= MINUTE_MS) tell(`after ${round * churned} pods`, samples(cluster));
    if (Date.now() - toldMs >= MINUTE_MS) toldMs = Date.now();
  }
  await checkLeftovers(cluster);
  const last = history.at(-1) ?? {};
  tell('at the end', last);
  const base = history[Math.min(WARM_UP_ROUNDS, history.length - 1)] ?? {};
  for (const [name, now] of Object.entries(last)) {
    for (const what of ['mb', 'descriptors'] as const) {
      if (now[what] <= (base[name]?.[what] ?? now[what]) * GROWTH_MAX) continue;
      throw new Error(`${what} of the ${name} grew from ${base[name]?.[what]} to ${now[what]}`);
    }
  }
  say('Nothing was lost, stuck or left, and nothing grew.');
} finally {
  await cluster.close();
}
