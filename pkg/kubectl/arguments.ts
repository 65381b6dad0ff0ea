/** What was given to a verb on the command line. */

import type { FlagSpec } from './flag.ts';

/** What was given to a verb. */
export class Arguments {
  readonly #flags: ReadonlyMap<string, FlagSpec>;
  readonly #values: ReadonlyMap<string, readonly string[]>;
  /** What is neither flag nor value, without what follows `--`. */
  readonly names: readonly string[];
  /** What follows `--`; absent when there is none. */
  readonly command: readonly string[] | undefined;

  constructor(parsed: {
    readonly flags: ReadonlyMap<string, FlagSpec>;
    readonly values: ReadonlyMap<string, readonly string[]>;
    readonly names: readonly string[];
    readonly command: readonly string[] | undefined;
  }) {
    this.#flags = parsed.flags;
    this.#values = parsed.values;
    this.names = parsed.names;
    this.command = parsed.command;
  }

  /** Whether the flag stands on the command line. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether the verb has the flag and it is true. */
  isOn(name: string): boolean {
    return this.#flags.has(name) && this.isSet(name);
  }

  /** Whether the verb has the flag. */
  knows(name: string): boolean {
    return this.#flags.has(name);
  }

  /** The value given last, else the default; undefined without either or when it is empty. */
  optional(name: string): string | undefined {
    const value = this.#values.get(name)?.at(-1) ?? this.#spec(name).default;
    return value === '' ? undefined : value;
  }

  text(name: string): string {
    return this.optional(name) ?? '';
  }

  isSet(name: string): boolean {
    return this.optional(name) === 'true';
  }

  number(name: string): number | undefined {
    const value = this.optional(name);
    return value === undefined ? undefined : Number(value);
  }

  list(name: string): readonly string[] {
    const { type } = this.#spec(name);
    const values = this.#values.get(name) ?? [];
    return type === 'list' ? values.flatMap((value) => value.split(',')).filter(Boolean) : values;
  }

  #spec(name: string): FlagSpec {
    const spec = this.#flags.get(name);
    if (!spec) throw new Error(`The verb does not declare --${name}`);
    return spec;
  }
}
