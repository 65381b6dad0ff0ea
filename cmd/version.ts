/** `mini version`: this mini's version, the Kubernetes API it serves, and what it is made of. */

import { KUBERNETES_VERSION, VERSION } from './assets.ts';
import type { Command } from './command.ts';

export const versionCommand: Command = {
  name: 'version',
  group: 'Other:',
  summary: 'Print the version',
  flags: [
    {
      name: 'output',
      short: 'o',
      value: 'format',
      help: 'form of the output',
      default: 'text',
      choices: ['text', 'json'],
      isLocal: true,
    },
  ],
  async run(flags) {
    const about = {
      version: VERSION,
      kubernetes: `v${KUBERNETES_VERSION}`,
      node: process.version,
      arch: process.arch,
    };
    const text = `mini ${about.version}\nKubernetes ${about.kubernetes}\nNode.js ${about.node} (${about.arch})`;
    process.stdout.write(
      `${flags.text('output') === 'json' ? JSON.stringify(about, undefined, 2) : text}\n`,
    );
    return 0;
  },
};
