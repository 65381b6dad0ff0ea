/** Turns the table of sub-commands into commander's tree: options, help, and flags read from all their sources. */

import { existsSync, readFileSync } from 'node:fs';
import { type Command as Commander, Option } from 'commander';
import { type Command, type Flag, Flags, UsageError } from './command.ts';
import { type ConfigFile, environmentName, resolveFlags } from './resolve-flags.ts';

/** Read when --config names no other; it need not exist. */
export const DEFAULT_CONFIG = '/etc/mini/config.yaml';

export interface AddOptions {
  /** Is given the exit code. */
  readonly finish: (code: number) => void;
  /** Names of all flags that config files may set. */
  readonly fileKeys: ReadonlySet<string>;
}

/** Adds a sub-command and those below it. */
export function addCommand(parent: Commander, command: Command, options: AddOptions): void {
  const added = parent
    .command(command.name)
    .summary(command.summary)
    .description(command.description ?? command.summary);
  if (command.group) added.helpGroup(command.group);
  for (const { name, help } of command.arguments ?? []) added.argument(name, help);
  for (const flag of command.flags ?? []) added.addOption(optionOf(flag));
  const notes = notesOf(command);
  if (notes) added.addHelpText('after', notes);
  if (command.isRaw)
    added.allowUnknownOption().allowExcessArguments().helpOption(false).passThroughOptions();
  for (const child of command.commands ?? []) addCommand(added, child, options);
  const { run } = command;
  if (!run) return;
  added.action(async () => {
    const flags = command.isRaw
      ? new Flags(new Map())
      : await collect(added, command.flags ?? [], options);
    options.finish(await run(flags, added.args));
  });
}

/** Names of the flags that commands with a --config read from it. */
export function fileKeysOf(commands: readonly Command[]): Set<string> {
  const withFile = commands.filter(({ flags }) => flags?.some(({ name }) => name === 'config'));
  return new Set(
    withFile.flatMap(({ flags = [] }) =>
      flags.filter(({ isLocal }) => !isLocal).map(({ name }) => name),
    ),
  );
}

function notesOf({ flags = [], examples }: Command): string {
  const parts: string[] = [];
  if (flags.some(({ name }) => name === 'config')) {
    parts.push(`Settings:
  A flag may also stand in the environment, as MINI_ and its name (MINI_DATA_DIR), or in the config file, without
  the dashes (data-dir: /srv/mini). The command line wins over the environment, and that over the file.`);
  }
  if (examples) parts.push(`Examples:\n${examples}`);
  return parts.length > 0 ? `\n${parts.join('\n\n')}` : '';
}

function optionOf(flag: Flag): Option {
  const { name, short, value, isList, group, choices } = flag;
  const left = `${short ? `-${short}, ` : ''}--${name}`;
  const notes = [
    ...(isList ? ['repeatable'] : []),
    ...(choices ? [choices.join(', ')] : []),
    ...(flag.default === undefined ? [] : [`default: ${flag.default}`]),
    ...(flag.isLocal ? [] : [environmentName(name)]),
  ];
  const help = notes.length > 0 ? `${flag.help} (${notes.join('; ')})` : flag.help;
  const option = new Option(value ? `${left} <${value}>` : left, help);
  if (group) option.helpGroup(group);
  if (isList)
    option.argParser((text: string, before: unknown) => [
      ...(Array.isArray(before) ? before : []),
      text,
    ]);
  return option;
}

async function collect(
  command: Commander,
  flags: readonly Flag[],
  { fileKeys }: AddOptions,
): Promise<Flags> {
  const typed = new Map<string, unknown>();
  for (const { name } of flags) {
    const attribute = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const value: unknown = command.getOptionValue(attribute);
    if (value !== undefined) typed.set(name, value);
  }
  const hasFile = flags.some(({ name }) => name === 'config');
  const file = hasFile ? await readConfig(typed.get('config'), fileKeys) : undefined;
  return resolveFlags(flags, { typed, env: process.env, ...(file ? { file } : {}) });
}

async function readConfig(
  typed: unknown,
  otherKeys: ReadonlySet<string>,
): Promise<ConfigFile | undefined> {
  const wanted = typed ?? (process.env[environmentName('config')] || undefined);
  const path = String(wanted ?? DEFAULT_CONFIG);
  if (!existsSync(path)) {
    if (wanted === undefined) return undefined;
    throw new UsageError(`Config file ${path} does not exist`);
  }
  return { path, content: await parseConfig(path), otherKeys };
}

async function parseConfig(path: string): Promise<Record<string, unknown>> {
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim() : error;
    throw new UsageError(`Config file ${path} cannot be read: ${reason}`);
  }
  if (content === null || content === undefined) return {};
  if (typeof content === 'object' && !Array.isArray(content)) return { ...content };
  throw new UsageError(
    `Config file ${path} must be a mapping of flag names to values, such as data-dir: /srv/mini`,
  );
}
