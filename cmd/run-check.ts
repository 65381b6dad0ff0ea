/** What `mini check` does. */

import type { Finding, Level } from './checks/finding.ts';
import { nodeFindings } from './checks/host.ts';
import { portFinding } from './checks/system.ts';
import type { Flags } from './command.ts';
import { readPidFile } from './pid-file.ts';
import { findRuntimes } from './runtimes.ts';

const MEND_INDENT = ' '.repeat(30);

/** Prints a line for each finding; resolves to the exit code. */
export async function runCheck(flags: Flags): Promise<number> {
  const findings = [
    ...nodeFindings({ dataDir: flags.text('data-dir'), runDir: flags.text('run-dir') }),
    await listenFinding(flags),
    ...(await findRuntimes(flags)).findings,
  ];
  for (const { level, subject, text, mend } of findings) {
    process.stdout.write(`${level.padEnd(10)}${subject.padEnd(18)}  ${text}\n`);
    if (mend) process.stdout.write(`${MEND_INDENT}mend: ${mend}\n`);
  }
  const count = (wanted: Level) => findings.filter(({ level }) => level === wanted).length;
  process.stdout.write(`\n${verdict(count('degraded'), count('missing'))}\n`);
  return count('missing') > 0 ? 1 : 0;
}

/** Its own server may well have the port. */
async function listenFinding(flags: Flags): Promise<Finding> {
  const port = flags.number('https-listen-port');
  const running = readPidFile(flags.text('run-dir'), 'server');
  if (running)
    return { level: 'ok', subject: `port ${port}`, text: `mini server runs (pid ${running.pid})` };
  return portFinding(flags.text('bind-address'), port);
}

function verdict(degraded: number, missing: number): string {
  if (missing > 0) return `mini cannot run a node here: ${missing} missing, ${degraded} degraded`;
  return degraded > 0 ? `mini runs here, with ${degraded} degraded` : 'mini runs here';
}
