/** Runs one test file in this process, for test/run.ts. Fails if it checks nothing or leaves a handle open. */

import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { parse } from 'uvu/parse';
import { run } from 'uvu/run';

const file = resolve(process.argv[2] ?? '');
if (!/^suite\(/m.test(readFileSync(file, 'utf8'))) throw new Error(`${file} declares no suite`);
const { suites } = await parse(dirname(file), new RegExp(`(^|/)${RegExp.escape(basename(file))}$`));
const found = suites.filter((suite) => suite.file === file);
if (found.length !== 1) throw new Error(`Cannot load ${file}`);
await run(found, { bail: false });
// A leaked socket or timer would keep the process alive for ever; tests must use cleanup().
setTimeout(() => {
  process.stderr.write('Cannot exit: a test left a handle open\n');
  process.exit(1);
}, 2_000).unref();
