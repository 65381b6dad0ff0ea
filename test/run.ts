/** Runs every *.test.ts under the given folders, in this process. Fails if a run checks nothing. */

import { readFileSync } from 'node:fs';
import { parse } from 'uvu/parse';
import { run } from 'uvu/run';

const dirs = process.argv.slice(2);
const parsed = await Promise.all(dirs.map((dir) => parse(dir, /\.test\.ts$/)));
const suites = parsed.flatMap((found) => found.suites);
if (suites.length === 0) throw new Error(`No test files under ${dirs.join(' ')}`);
for (const { file } of suites) {
  if (!/^suite\(/m.test(readFileSync(file, 'utf8'))) throw new Error(`${file} declares no suite`);
}
await run(suites, { bail: false });
// A leaked socket or timer would keep the process alive for ever; tests must use cleanup().
setTimeout(() => {
  process.stderr.write('Cannot exit: a test left a handle open\n');
  process.exit(1);
}, 2_000).unref();
