/**
 * The shape of a sub-command, and how flags reach it: from the command line, a MINI_* variable, the YAML config file,
 * or the default, in this order. One file per sub-command, each a row in main.ts.
 */

import { existsSync, readFileSync } from 'node:fs';
import { type Command as Commander, InvalidArgumentError, Option } from 'commander';

/** Read when --config names no other; it need not exist. */
export const DEFAULT_CONFIG = '/etc/mini/config.yaml';

export interface Flag {
  /** As typed after `--`. */
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value; absent = a switch. */
  readonly value?: string;
  readonly help: string;
  readonly default?: string | number | boolean;
  /** May be given several times; a comma separates values too. */
  readonly isList?: boolean;
  readonly isNumber?: boolean;
  readonly choices?: readonly string[];
}

/** Values by flag name. */
export class Flags {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  /** A value that may be absent. */
  optional(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === undefined || value === '' ? undefined : String(value);
  }

  text(name: string): string {
    return this.optional(name) ?? '';
  }

  number(name: string): number {
    return Number(this.#values.get(name));
  }

  isSet(name: string): boolean {
    return this.#values.get(name) === true;
  }

  list(name: string): readonly string[] {
    const value = this.#values.get(name);
    const items = Array.isArray(value) ? value : value === undefined ? [] : [value];
    return items.flatMap((item) => String(item).split(',')).filter((item) => item !== '');
  }
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  readonly flags?: readonly Flag[];
  readonly commands?: readonly Command[];
  /** Passes everything after the name to run() unparsed. */
  readonly isRaw?: boolean;
  /** Shown after the help. */
  readonly examples?: string;
  /** Resolves to the exit code. Loaded lazily: start-up time is every command's. */
  run?(flags: Flags, args: readonly string[]): Promise<number>;
}

/** A mistake of the user's: printed as it is, without a stack trace; exit code 1. */
export class UserError extends Error {}

/** Adds a sub-command and those below it to commander's tree; `finish` is given the exit code. */
export function addCommand(
  parent: Commander,
  command: Command,
  finish: (code: number) => void,
): void {
  const added = parent
    .command(command.name)
    .summary(command.summary)
    .description(command.description ?? command.summary);
  for (const { name, help } of command.arguments ?? []) added.argument(name, help);
  for (const flag of command.flags ?? []) added.addOption(optionOf(flag));
  if (command.examples) added.addHelpText('after', `\nExamples:\n${command.examples}`);
  if (command.isRaw)
    added.allowUnknownOption().allowExcessArguments().helpOption(false).passThroughOptions();
  for (const child of command.commands ?? []) addCommand(added, child, finish);
  const { run } = command;
  if (!run) return;
  added.action(async () => {
    const flags = command.isRaw ? new Flags(new Map()) : await collect(added, command.flags ?? []);
    finish(await run(flags, added.args));
  });
}

function optionOf(flag: Flag): Option {
  const { name, short, value, isList, isNumber } = flag;
  const left = `${short ? `-${short}, ` : ''}--${name}`;
  const option = new Option(value ? `${left} <${value}>` : left, flag.help).env(
    environmentName(name),
  );
  if (flag.default !== undefined) option.default(flag.default);
  if (flag.choices) option.choices([...flag.choices]);
  if (isList)
    option.argParser((text: string, before: unknown) => [
      ...(Array.isArray(before) ? before : []),
      text,
    ]);
  if (isNumber) option.argParser(wholeNumber);
  return option;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** `data-dir` is set by MINI_DATA_DIR. */
function environmentName(flag: string): string {
  return `MINI_${flag.replaceAll('-', '_').toUpperCase()}`;
}

async function collect(command: Commander, flags: readonly Flag[]): Promise<Flags> {
  const values = new Map<string, unknown>();
  const file = flags.some(({ name }) => name === 'config') ? await readConfig(command) : {};
  const known = new Set(flags.map(({ name }) => name));
  for (const { name } of flags) {
    const attribute = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const source = command.getOptionValueSource(attribute);
    const isExplicit = source === 'cli' || source === 'env';
    values.set(name, !isExplicit && name in file ? file[name] : command.getOptionValue(attribute));
  }
  // A file is shared by server and agent: what the other one knows is no mistake.
  for (const name of Object.keys(file))
    if (!known.has(name)) process.emitWarning(`config: ${name} is not a flag of this command`);
  return new Flags(values);
}

async function readConfig(command: Commander): Promise<Record<string, unknown>> {
  const source = command.getOptionValueSource('config');
  const path = String(command.getOptionValue('config') ?? DEFAULT_CONFIG);
  if (!existsSync(path)) {
    if (source === 'default' || source === undefined) return {};
    throw new UserError(`Config file ${path} does not exist`);
  }
  const { parse } = await import('yaml');
  try {
    const content: unknown = parse(readFileSync(path, 'utf8'));
    if (content === null || content === undefined) return {};
    if (typeof content === 'object' && !Array.isArray(content)) return { ...content };
  } catch (error) {
    throw new UserError(
      `Config file ${path} is not valid YAML: ${error instanceof Error ? error.message : error}`,
    );
  }
  throw new UserError(`Config file ${path} must be a mapping of flag names to values`);
}
