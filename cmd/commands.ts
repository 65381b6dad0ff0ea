/** The table of sub-commands, in the order in which the help shows them. */

import { agentCommand } from './agent.ts';
import { checkCommand } from './check.ts';
import type { Command } from './command.ts';
import { completionCommand } from './completion.ts';
import { downCommand } from './down.ts';
import { imageCommand } from './image.ts';
import { kubectlCommand } from './kubectl.ts';
import { licensesCommand } from './licenses.ts';
import { serverCommand } from './server.ts';
import { tokenCommand } from './token.ts';
import { upCommand } from './up.ts';
import { versionCommand } from './version.ts';

export const COMMANDS: readonly Command[] = [
  upCommand,
  downCommand,
  serverCommand,
  agentCommand,
  checkCommand,
  tokenCommand,
  imageCommand,
  kubectlCommand,
  versionCommand,
  licensesCommand,
  completionCommand(() => COMMANDS),
];
