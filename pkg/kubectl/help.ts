/** The help of a verb, laid out as kubectl lays it out. */

import { type FlagSpec, GLOBAL_FLAGS } from './flag.ts';
import type { Verb } from './verb.ts';

const NAME_WIDTH = 16;

/** The text that `--help` prints. */
export function helpOf(verb: Verb, path: readonly string[]): string {
  const name = ['mini', 'kubectl', ...path].join(' ');
  const parts = [`${verb.summary}\n`];
  if (verb.aliases?.length) parts.push(`Aliases:\n  ${[verb.name, ...verb.aliases].join(', ')}\n`);
  if (verb.examples?.length)
    parts.push(`Examples:\n${verb.examples.map((line) => `  ${line}`).join('\n')}\n`);
  if (verb.verbs?.length) {
    const rows = verb.verbs.map((child) => `  ${child.name.padEnd(NAME_WIDTH)} ${child.summary}`);
    parts.push(`Available Commands:\n${rows.join('\n')}\n`);
  }
  if (verb.flags?.length) parts.push(`Options:\n${verb.flags.map(optionText).join('\n\n')}\n`);
  parts.push(`Usage:\n  mini kubectl ${verb.usage}\n`);
  if (path.length === 0)
    parts.push(`Global options:\n${GLOBAL_FLAGS.map(optionText).join('\n\n')}\n`);
  if (verb.verbs?.length)
    parts.push(`Use "${name} <command> --help" for more information about a given command.\n`);
  return parts.join('\n');
}

function optionText({ name, short, type, help, default: value, choices }: FlagSpec): string {
  const shown =
    value ?? { switch: 'false', text: "''", number: '0', list: '[]', array: '[]' }[type];
  const left = `    ${short ? `-${short}, ` : ''}--${name}=${shown}:`;
  return `${left}\n\t${help}${choices ? ` One of: ${choices.join(', ')}.` : ''}`;
}
