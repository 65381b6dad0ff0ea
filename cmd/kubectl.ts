/** `mini kubectl`: the everyday verbs of kubectl; also what mini does when it is started by that name. */

import { basename } from 'node:path';
import type { Command } from './command.ts';
import { DEFAULT_KUBECONFIG } from './server-flags.ts';

export const kubectlCommand: Command = {
  name: 'kubectl',
  summary: 'the everyday verbs of kubectl, built in',
  isRaw: true,
  async run(_flags, args) {
    const { runKubectl } = await import('../pkg/kubectl/kubectl.ts');
    const { stdin, stdout, stderr } = process;
    const io = { stdin, stdout, stderr, runEditor };
    return runKubectl(args, { io, defaultKubeconfig: DEFAULT_KUBECONFIG });
  },
};

/** As kubectl, through a shell: an editor's command line may have arguments. */
async function runEditor(command: string, file: string): Promise<number> {
  const { spawn } = await import('node:child_process');
  const editor = spawn('sh', ['-c', `${command} "$1"`, 'sh', file], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    editor.once('error', reject);
    editor.once('close', (code) => resolve(code ?? 1));
  });
}

/** The arguments of mini: through a link named kubectl all of them are kubectl's. */
export function argumentsOf(argv0: string, args: readonly string[]): readonly string[] {
  return basename(argv0) === 'kubectl' ? ['kubectl', ...args] : args;
}
