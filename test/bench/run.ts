/** `npm run bench`: every figure, one JSON line each. Compare ratios within one run: machines are noisy. */

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Switch } from '../harness/hosts.ts';

const CLUSTER_TIMEOUT_MS = 10 * 60_000;
const mini = resolve('dist/mini');

process.stdout.write(execFileSync(process.execPath, ['test/bench/store.ts'], { encoding: 'utf8' }));
const network = new Switch();
try {
  const host = await network.addHost('bench');
  // Laid out before, as an installed mini is.
  await host.ok([mini, 'version']);
  const probe = [process.execPath, resolve('test/bench/cluster-probe.ts'), mini];
  process.stdout.write(await host.ok(probe, { timeoutMs: CLUSTER_TIMEOUT_MS }));
} finally {
  await network.close();
}
