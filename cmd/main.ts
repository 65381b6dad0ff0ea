/** Entry point: commander's program, exit codes, and the one place where an error is printed. */

import { Command as Commander, CommanderError } from 'commander';
import { describe } from '../pkg/log/log.ts';
import { addCommand, fileKeysOf } from './add-command.ts';
import { KUBERNETES_VERSION, VERSION } from './assets.ts';
import { UsageError, UserError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { argumentsOf } from './kubectl.ts';

const EXIT_ERROR = 1;
const EXIT_USAGE = 2;
const HELP_WIDTH = 120;

/** What to do about errors of the system, by their code. */
const MENDS: Readonly<Record<string, string>> = {
  EACCES: 'run it as root, or name directories of your own (--data-dir, --run-dir)',
  EPERM: 'run it as root',
  EROFS: 'that file system is read-only: name another directory',
  ENOSPC: 'that disk is full: free some space',
  EDQUOT: 'the quota of that disk is used up: free some space',
  EEXIST: 'something else lies at that path: move it away',
  EISDIR: 'a directory lies at that path: move it away',
  ENOTDIR: 'a file lies where a directory is needed: move it away',
  ERR_FS_EISDIR: 'a directory lies at that path: move it away',
  EMFILE: 'too many open files: raise the limit (ulimit -n)',
};

async function main(argv: readonly string[]): Promise<void> {
  // `mini … | head` closes our output early; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const program = createProgram();
  if (argv.length === 0) {
    program.outputHelp();
    return;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    // At once: what is open still (a socket, a thread) must not keep a process that has said why it ends.
    process.exit(report(error));
  }
}

function createProgram(): Commander {
  const program = new Commander('mini')
    .description('A Kubernetes-compatible cluster with its own container runtime in one executable')
    .version(
      `mini ${VERSION} (Kubernetes v${KUBERNETES_VERSION})`,
      '-v, --version',
      'print the version',
    )
    .helpOption('-h, --help', 'show help')
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? HELP_WIDTH, HELP_WIDTH) })
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'mini: ')),
    })
    .showHelpAfterError('(run with --help for usage)')
    .enablePositionalOptions()
    .exitOverride();
  const finish = (code: number) => {
    process.exitCode = code;
  };
  const fileKeys = fileKeysOf(COMMANDS);
  for (const command of COMMANDS) addCommand(program, command, { finish, fileKeys });
  return program;
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const isDebugging = process.env['MINI_DEBUG'] !== undefined && error instanceof Error;
  process.stderr.write(`mini: ${isDebugging ? error.stack : describe(error)}\n`);
  if (error instanceof UsageError) {
    process.stderr.write('(run with --help for usage)\n');
    return EXIT_USAGE;
  }
  const mend = error instanceof UserError ? undefined : MENDS[codeOf(error)];
  if (mend) process.stderr.write(`(${mend})\n`);
  return EXIT_ERROR;
}

/** The system's code for what went wrong, which may stand in a cause. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = 'code' in error ? String(error.code) : '';
  return code in MENDS ? code : codeOf(error.cause);
}

void main(argumentsOf(process.argv0, process.argv.slice(2)));
