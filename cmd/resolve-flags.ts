/** Where a flag's value comes from: the command line, a MINI_* variable, the config file, its default, in this order. */

import { type Flag, Flags, splitList, UsageError } from './command.ts';

export interface FlagSources {
  /** What was typed, by flag name. */
  readonly typed: ReadonlyMap<string, unknown>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile;
}

export interface ConfigFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** Keys that other commands read from the same file. */
  readonly otherKeys: ReadonlySet<string>;
}

const YES = ['true', 'yes', 'on', '1'];
const NO = ['false', 'no', 'off', '0'];

interface Found {
  readonly value: unknown;
  /** As the user wrote it, for messages. */
  readonly origin: string;
}

/** Decides and checks every flag's value. Throws a UsageError that names the value and where it stands. */
export function resolveFlags(flags: readonly Flag[], sources: FlagSources): Flags {
  if (sources.file) checkKeys(flags, sources.file);
  const values = new Map<string, unknown>();
  for (const flag of flags) {
    const found = find(flag, sources);
    if (found) check(flag, found);
    values.set(flag.name, found ? found.value : flag.default);
  }
  const whole = flags.filter(({ hasCommas }) => hasCommas).map(({ name }) => name);
  return new Flags(values, new Set(whole));
}

/** `data-dir` is set by MINI_DATA_DIR. */
export function environmentName(flag: string): string {
  return `MINI_${flag.replaceAll('-', '_').toUpperCase()}`;
}

function find(flag: Flag, { typed, env, file }: FlagSources): Found | undefined {
  const { name, isSecret } = flag;
  const given = typed.get(name);
  if (given !== undefined)
    return { value: given, origin: `--${name}${isSecret ? '' : ` ${display(given)}`}` };
  if (flag.isLocal) return undefined;
  const variable = environmentName(name);
  const text = env[variable];
  if (text) {
    const origin = isSecret ? variable : `${variable}=${text}`;
    return { value: flag.value ? text : toSwitch(text, origin), origin };
  }
  const value = file?.content[name];
  if (file === undefined || value === undefined || value === null) return undefined;
  const origin = `${name} in ${file.path}`;
  return { value: fromFile(flag, value, origin), origin };
}

function toSwitch(text: string, origin: string): boolean {
  const lower = text.toLowerCase();
  if (YES.includes(lower)) return true;
  if (NO.includes(lower)) return false;
  throw new UsageError(`${origin}: it must be true or false`);
}

function fromFile(flag: Flag, value: unknown, origin: string): unknown {
  if (!flag.value) return typeof value === 'boolean' ? value : toSwitch(display(value), origin);
  const items = Array.isArray(value) ? value : [value];
  if (items.some((item) => typeof item === 'object'))
    throw new UsageError(`${origin}: it must be a plain value${flag.isList ? ' or a list' : ''}`);
  if (Array.isArray(value) && !flag.isList)
    throw new UsageError(`${origin}: it takes one value, not a list`);
  return flag.isList ? items.map(String) : String(value);
}

function check(flag: Flag, { value, origin }: Found): void {
  if (!flag.value) return;
  const items: string[] = flag.isList
    ? (Array.isArray(value) ? value : [value]).flatMap((item) =>
        flag.hasCommas ? [String(item)] : splitList(String(item)),
      )
    : [String(value)];
  for (const item of items) {
    const isShown = flag.isSecret || origin.endsWith(item);
    const shown = isShown ? origin : `${origin}: ${item}`;
    if (flag.choices && !flag.choices.includes(item))
      throw new UsageError(`${shown}: it must be one of ${flag.choices.join(', ')}`);
    const reason = flag.check?.(item);
    if (reason) throw new UsageError(`${shown}: ${reason}`);
  }
}

/** A file is shared by server and agent: what the other one reads is no mistake. */
function checkKeys(flags: readonly Flag[], { path, content, otherKeys }: ConfigFile): void {
  const own = new Set(flags.filter(({ isLocal }) => !isLocal).map(({ name }) => name));
  for (const key of Object.keys(content)) {
    if (own.has(key) || otherKeys.has(key)) continue;
    throw new UsageError(
      `${key} in ${path}: mini has no such setting; see \`mini server --help\` for all`,
    );
  }
}

function display(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value);
}
