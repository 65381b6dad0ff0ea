/** The shape of a sub-command and of its flags. One file per sub-command, each a row in commands.ts. */

/** A flag; it is read from the command line, a MINI_* variable, the YAML config file, or its default, in this order. */
export interface Flag {
  /** As typed after `--`. */
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value; absent = a switch. */
  readonly value?: string;
  readonly help: string;
  /** Heading under which the help shows it. */
  readonly group?: string;
  readonly default?: string | number;
  /** May be given several times; a comma separates values too. */
  readonly isList?: boolean;
  /** Of a list whose values have commas in them. */
  readonly hasCommas?: boolean;
  readonly choices?: readonly string[];
  /** Says what a wrong value must be, such as `it must be a port`; undefined when the value is right. */
  readonly check?: (value: string) => string | undefined;
  /** Never shown in messages. */
  readonly isSecret?: boolean;
  /** Of one call, so that no variable and no config file sets it. */
  readonly isLocal?: boolean;
}

/** Values by flag name. */
export class Flags {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #whole: ReadonlySet<string>;

  /** `whole` names the lists whose values have commas in them. */
  constructor(values: ReadonlyMap<string, unknown>, whole: ReadonlySet<string> = new Set()) {
    this.#values = values;
    this.#whole = whole;
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
    if (this.#whole.has(name)) return items.map(String);
    return items.flatMap((item) => splitList(String(item)));
  }
}

/** The items of one value of a list flag. */
export function splitList(value: string): string[] {
  return value.split(',').filter((item) => item !== '');
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  /** Heading under which `mini --help` shows it. */
  readonly group?: string;
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

/** Something that the user can mend: printed as it is, without a stack trace; exit code 1. */
export class UserError extends Error {}

/** A command line, variable or config file that says nothing sensible; exit code 2. */
export class UsageError extends UserError {}
