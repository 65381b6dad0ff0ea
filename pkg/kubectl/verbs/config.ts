/** `kubectl config view` and `current-context`: the kubeconfig that is used. */

import { stripped } from '../config-view.ts';
import { KubectlError } from '../kubectl-error.ts';
import { jsonText } from '../output/json.ts';
import { yamlText } from '../output/yaml.ts';
import type { Verb } from '../verb.ts';

const view: Verb = {
  name: 'view',
  summary: 'Display the kubeconfig file, without its secrets.',
  usage: 'config view [flags]',
  flags: [
    { name: 'raw', type: 'switch', help: 'Display raw byte data and sensitive data.' },
    {
      name: 'output',
      short: 'o',
      type: 'text',
      default: 'yaml',
      choices: ['json', 'yaml'],
      help: 'Output format.',
    },
  ],
  async run({ args, io, api }) {
    const config = stripped(api().paths, { isRaw: args.isSet('raw') });
    io.stdout.write(args.text('output') === 'json' ? jsonText(config) : yamlText(config));
    return 0;
  },
};

const currentContext: Verb = {
  name: 'current-context',
  summary: 'Display the current-context.',
  usage: 'config current-context',
  async run({ io, api }) {
    io.stdout.write(`${api().config.context}\n`);
    return 0;
  },
};

const getContexts: Verb = {
  name: 'get-contexts',
  summary: 'Print the names of the contexts.',
  usage: 'config get-contexts -o name',
  flags: [{ name: 'output', short: 'o', type: 'text', choices: ['name'], help: 'Output format.' }],
  async run({ args, io, api }) {
    if (args.text('output') !== 'name') throw new KubectlError('get-contexts needs -o name here');
    const { contexts = [] } = stripped(api().paths, { isRaw: false });
    io.stdout.write(contexts.map(({ name }) => `${name}\n`).join(''));
    return 0;
  },
};

export const config: Verb = {
  name: 'config',
  summary: 'Show the kubeconfig that is used.',
  usage: 'config SUBCOMMAND',
  verbs: [view, currentContext, getContexts],
};
