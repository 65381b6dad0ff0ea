/** The checks that go together: what a node needs, what a server needs. */

import type { Logger } from '../../pkg/log/log.ts';
import { UserError } from '../command.ts';
import { cgroupFindings } from './cgroups.ts';
import { dataFindings, directoryFindings, volumesFinding } from './files.ts';
import { type Finding, sentence } from './finding.ts';
import { kernelFindings } from './kernel.ts';
import { clockFinding, memoryFinding, openFilesFinding, userFinding } from './system.ts';

export interface Directories {
  readonly dataDir: string;
  readonly runDir: string;
}

/** What running containers needs. */
export function nodeFindings(directories: Directories): Finding[] {
  return [
    userFinding(),
    ...kernelFindings(),
    ...cgroupFindings(),
    ...dataFindings(directories.dataDir),
    volumesFinding(directories.dataDir),
    ...serverFindings(directories).filter(({ subject }) => subject !== 'data directory'),
  ];
}

/** What a control plane needs. */
export function serverFindings({ dataDir, runDir }: Directories): Finding[] {
  return [
    ...directoryFindings('data directory', dataDir),
    ...directoryFindings('run directory', runDir),
    memoryFinding(),
    openFilesFinding(),
    clockFinding(),
  ];
}

/** Logs what degrades and returns it in sentences; throws when something needed is missing. */
export function requireHost(findings: readonly Finding[], log: Logger): readonly string[] {
  const missing = findings.filter(({ level }) => level === 'missing');
  if (missing.length > 0) {
    const lines = missing.map((finding) => `\n  ${sentence(finding)}`);
    throw new UserError(`this host lacks what is needed (mini check shows all):${lines.join('')}`);
  }
  const degraded = findings.filter(({ level }) => level === 'degraded').map(sentence);
  for (const text of degraded) log.warn('Host is degraded', { reason: text });
  return degraded;
}
