/** Prints what a verb has done to an object: `pod/web created`, or the object itself in the form of -o. */

import type { Live } from './api.ts';
import type { Arguments } from './arguments.ts';
import { dryRunSuffix } from './dry-run.ts';
import { nameText, printerOf } from './output/output.ts';
import type { Io } from './verb.ts';

/** Returns the function that prints each change of one command. */
export function changePrinter(
  args: Arguments,
  { stdout }: Io,
): (object: Live, done: string) => void {
  const printer = args.has('output') ? printerOf(args) : undefined;
  const isYaml = args.has('output') && args.text('output') === 'yaml';
  let count = 0;
  return (object, done) => {
    const separator = isYaml && count > 0 ? '---\n' : '';
    count += 1;
    stdout.write(
      printer
        ? separator + printer.one(object)
        : `${nameText(object)} ${done}${dryRunSuffix(args)}\n`,
    );
  };
}
