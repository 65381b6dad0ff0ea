/** Entry point: the table of sub-commands, exit codes and the one place where an unexpected error is printed. */

import { Command as Commander, CommanderError } from 'commander';
import { describe } from '../pkg/log/log.ts';
import { agentCommand } from './agent.ts';
import { KUBERNETES_VERSION, VERSION } from './assets.ts';
import { addCommand, type Command, UserError } from './command.ts';
import { downCommand } from './down.ts';
import { imageCommand } from './image.ts';
import { licensesCommand } from './licenses.ts';
import { serverCommand } from './server.ts';
import { tokenCommand } from './token.ts';
import { upCommand } from './up.ts';
import { versionCommand } from './version.ts';

const COMMANDS: readonly Command[] = [
  upCommand,
  downCommand,
  serverCommand,
  agentCommand,
  tokenCommand,
  imageCommand,
  versionCommand,
  licensesCommand,
];

const EXIT_USAGE = 2;

async function main(argv: readonly string[]): Promise<void> {
  // `mini … | head` closes our output early; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const program = new Commander('mini')
    .description('A Kubernetes-compatible cluster with its own container runtime in one executable')
    .version(
      `mini ${VERSION} (Kubernetes v${KUBERNETES_VERSION})`,
      '-v, --version',
      'print the version',
    )
    .showHelpAfterError('(run with --help for usage)')
    .enablePositionalOptions()
    .exitOverride();
  for (const command of COMMANDS) {
    addCommand(program, command, (code) => {
      process.exitCode = code;
    });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const isExpected = error instanceof UserError || process.env['MINI_DEBUG'] === undefined;
  process.stderr.write(
    `mini: ${isExpected || !(error instanceof Error) ? describe(error) : error.stack}\n`,
  );
  return 1;
}

void main(process.argv.slice(2));
