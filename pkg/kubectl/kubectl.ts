/** `mini kubectl`: finds the verb, runs it, and prints what went wrong as kubectl does. */

import { StatusError } from '../api/errors.ts';
import { KubeconfigError } from '../client/kubeconfig.ts';
import { openApi } from './api.ts';
import { statusText } from './error-text.ts';
import { helpOf } from './help.ts';
import { KubectlError } from './kubectl-error.ts';
import { type Parsed, parseArguments } from './parse-arguments.ts';
import type { Io } from './verb.ts';
import { root } from './verbs.ts';

export interface KubectlOptions {
  readonly io: Io;
  /** Read when neither --kubeconfig nor KUBECONFIG names a file and it exists. */
  readonly defaultKubeconfig: string;
}

/** Runs one command; resolves to its exit code. */
export async function runKubectl(
  tokens: readonly string[],
  { io, defaultKubeconfig }: KubectlOptions,
): Promise<number> {
  let close: () => void = () => undefined;
  try {
    const { verb, path, args } = parse(tokens);
    if (args.isSet('help') || !verb.run) {
      io.stdout.write(helpOf(verb, path));
      return 0;
    }
    const opened = lazily(() => openApi(args, defaultKubeconfig));
    close = () => opened.value?.close();
    return await verb.run({ args, io, api: opened.get });
  } catch (error) {
    return report(error, io);
  } finally {
    close();
  }
}

function parse(tokens: readonly string[]): Parsed {
  // kubectl knows `help VERB` as well.
  return tokens[0] === 'help'
    ? parseArguments(root, [...tokens.slice(1), '--help'])
    : parseArguments(root, tokens);
}

function lazily<T>(make: () => T): { readonly value: T | undefined; get(): T } {
  let value: T | undefined;
  return {
    get value() {
      return value;
    },
    get() {
      value ??= make();
      return value;
    },
  };
}

function report(error: unknown, io: Io): number {
  const { stderr } = io;
  if (error instanceof AggregateError)
    return Math.max(...error.errors.map((one) => report(one, io)));
  if (error instanceof StatusError) {
    stderr.write(`${statusText(error)}\n`);
    return 1;
  }
  if (error instanceof KubectlError) {
    if (error.message) stderr.write(`error: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof KubeconfigError) {
    stderr.write(`error: ${error.message}; name a file with --kubeconfig or KUBECONFIG\n`);
    return 1;
  }
  throw error;
}
