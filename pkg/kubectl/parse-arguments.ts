/**
 * The command line as kubectl reads it: flags and arguments in any order, `-it`, `-nNAME`, `--flag=value`, switches
 * with `=false`, everything after `--` as it is. Finds the verb on the way.
 */

import { Arguments } from './arguments.ts';
import { type FlagSpec, GLOBAL_FLAGS } from './flag.ts';
import { KubectlError, refused } from './kubectl-error.ts';
import type { Verb } from './verb.ts';

export interface Parsed {
  readonly verb: Verb;
  /** The verb as typed, e.g. `rollout status`. */
  readonly path: readonly string[];
  readonly args: Arguments;
}

/** Finds the verb under `root` and its flags. Throws a KubectlError on what is not known. */
export function parseArguments(root: Verb, tokens: readonly string[]): Parsed {
  const parser = new Parser(root);
  return parser.parse(tokens);
}

class Parser {
  #verb: Verb;
  readonly #path: string[] = [];
  readonly #flags = new Map(GLOBAL_FLAGS.map((flag) => [flag.name, flag]));
  readonly #shorts = new Map(GLOBAL_FLAGS.map((flag) => [flag.short ?? '', flag]));
  readonly #values = new Map<string, string[]>();
  readonly #names: string[] = [];
  #rest: string[] = [];

  constructor(root: Verb) {
    this.#verb = root;
    this.#declare(root);
  }

  parse(tokens: readonly string[]): Parsed {
    this.#rest = [...tokens];
    let command: readonly string[] | undefined;
    for (let token = this.#rest.shift(); token !== undefined; token = this.#rest.shift()) {
      if (token === '--') {
        command = this.#rest;
        break;
      }
      if (token.startsWith('--')) this.#long(token.slice(2));
      else if (token.length > 1 && token.startsWith('-')) this.#short(token.slice(1));
      else this.#positional(token);
    }
    const args = new Arguments({
      flags: this.#flags,
      values: this.#values,
      names: this.#names,
      command,
    });
    return { verb: this.#verb, path: this.#path, args };
  }

  #declare({ flags = [] }: Verb): void {
    for (const flag of flags) {
      this.#flags.set(flag.name, flag);
      if (flag.short) this.#shorts.set(flag.short, flag);
    }
  }

  #positional(token: string): void {
    const { verbs = [], run } = this.#verb;
    if (this.#names.length > 0 || verbs.length === 0) {
      this.#names.push(token);
      return;
    }
    const child = verbs.find(({ name, aliases }) => name === token || aliases?.includes(token));
    if (child) {
      this.#verb = child;
      this.#path.push(child.name);
      this.#declare(child);
    } else if (run) this.#names.push(token);
    else throw refused(`"${[...this.#path, token].join(' ')}"`);
  }

  #long(text: string): void {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const flag = this.#flags.get(name);
    if (!flag) throw this.#unknown(`unknown flag: --${name}`);
    this.#set(flag, equals < 0 ? undefined : text.slice(equals + 1), `--${name}`);
  }

  #short(text: string): void {
    const letter = text.charAt(0);
    const rest = text.slice(1);
    const flag = this.#shorts.get(letter);
    if (!flag) throw this.#unknown(`unknown shorthand flag: '${letter}' in -${text}`);
    if (rest.startsWith('=')) this.#set(flag, rest.slice(1), `-${letter}`);
    else if (flag.type === 'switch' || flag.bare !== undefined) {
      this.#set(flag, undefined, `-${letter}`);
      if (rest) this.#short(rest);
    } else this.#set(flag, rest || undefined, `-${letter}`);
  }

  #set(flag: FlagSpec, given: string | undefined, typed: string): void {
    const bare = flag.bare ?? (flag.type === 'switch' ? 'true' : undefined);
    const value = given ?? bare ?? this.#rest.shift();
    if (value === undefined) throw this.#unknown(`flag needs an argument: ${flagText(typed)}`);
    check(flag, value);
    this.#values.set(flag.name, [...(this.#values.get(flag.name) ?? []), normal(flag, value)]);
  }

  #unknown(message: string): KubectlError {
    const name = ['kubectl', ...this.#path].join(' ');
    return new KubectlError(
      `${message}\nSee 'mini ${name} --help' for usage; the real kubectl may have more flags.`,
    );
  }
}

function flagText(typed: string): string {
  return typed.startsWith('--') ? typed : `'${typed.slice(1)}' in ${typed}`;
}

const TRUE = ['true', 't', '1'];
const FALSE = ['false', 'f', '0'];

function check({ name, type, choices }: FlagSpec, value: string): void {
  if (type === 'switch' && ![...TRUE, ...FALSE].includes(value.toLowerCase()))
    throw new KubectlError(`invalid argument "${value}" for "--${name}" flag: it is true or false`);
  if (type === 'number' && !/^[+-]?\d+$/.test(value))
    throw new KubectlError(
      `invalid argument "${value}" for "--${name}" flag: strconv.ParseInt: parsing "${value}": invalid syntax`,
    );
  if (choices && !choices.includes(value))
    throw new KubectlError(
      `Invalid ${name} value (${value}). Must be one of: ${choices.map((choice) => `"${choice}"`).join(', ')}.`,
    );
}

function normal({ type }: FlagSpec, value: string): string {
  return type === 'switch' ? String(TRUE.includes(value.toLowerCase())) : value;
}
