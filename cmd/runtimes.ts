/** The OCI runtimes that --runtime names: parsed, looked at, told. */

import { join } from 'node:path';
import { describe } from '../pkg/log/log.ts';
import { probeRuntime, type RuntimeFeatures } from '../pkg/runtime/probe-runtime.ts';
import type { ForeignRuntime } from '../pkg/runtime/runtime.ts';
import type { Finding } from './checks/finding.ts';
import { type Flags, UsageError } from './command.ts';
import { parseRuntime } from './runtime-flag.ts';

export interface FoundRuntime extends ForeignRuntime {
  readonly name: string;
  readonly features: RuntimeFeatures;
}

export interface Runtimes {
  readonly found: readonly FoundRuntime[];
  /** One for each that was asked for. */
  readonly findings: readonly Finding[];
}

/** Throws a UsageError when one name stands for two runtimes. */
export async function findRuntimes(flags: Flags): Promise<Runtimes> {
  const wanted = flags.list('runtime').map(parseRuntime);
  const twice = wanted.find(({ name }, at) => wanted.findIndex((one) => one.name === name) < at);
  if (twice)
    throw new UsageError(`--runtime ${twice.name} is given twice: each needs its own name`);
  const found: FoundRuntime[] = [];
  const findings: Finding[] = [];
  for (const { name, path, args } of wanted) {
    const subject = `runtime ${name}`;
    try {
      const features = await probeRuntime({ path, args });
      const root = join(flags.text('run-dir'), 'handlers', name);
      found.push({ name, path, args, root, features });
      findings.push({ level: 'ok', subject, text: `${path} (${features.version})` });
    } catch (error) {
      findings.push({
        level: 'degraded',
        subject,
        text: `${describe(error)}, so that pods of RuntimeClasses with handler ${name} do not start here`,
        mend: `install it, or correct --runtime ${name}=…`,
      });
    }
  }
  return { found, findings };
}
