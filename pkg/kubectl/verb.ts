/** The shape of a verb, and what it is given to work with. One verb, one file; verbs.ts is the table. */

import type { Readable, Writable } from 'node:stream';
import type { Api } from './api.ts';
import type { Arguments } from './arguments.ts';
import type { FlagSpec } from './flag.ts';

/** Where a verb reads and writes. */
export interface Io {
  readonly stdin: Readable & {
    readonly isTTY?: boolean;
    setRawMode?(isRaw: boolean): unknown;
  };
  readonly stdout: Writable & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly stderr: Writable;
  /** Opens a file in an editor (a shell's command line) on the user's terminal; resolves to its exit code. */
  runEditor?(command: string, file: string): Promise<number>;
}

/** One run of a verb. */
export interface Call {
  readonly args: Arguments;
  readonly io: Io;
  /** The cluster; opened when it is first asked for. */
  api(): Api;
}

export interface Verb {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** What follows `kubectl` in the usage line. */
  readonly usage: string;
  readonly examples?: readonly string[];
  readonly flags?: readonly FlagSpec[];
  readonly verbs?: readonly Verb[];
  /** Resolves to the exit code. */
  run?(call: Call): Promise<number>;
}
