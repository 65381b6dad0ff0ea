/** `mini completion bash|zsh|fish`: a completion script made from the table of sub-commands. */

import { type Command, type Flag, UsageError } from './command.ts';

/** Words that may follow a line of sub-commands. */
interface Place {
  /** `mini`, `mini token`, `mini token create`. */
  readonly line: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
}

const HELP: Flag = { name: 'help', help: 'show help' };

/** The command; `commands` is asked for when it runs, as the table holds this command too. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Print a completion script for a shell',
    group: 'Other:',
    arguments: [{ name: '<shell>', help: 'bash, zsh or fish' }],
    examples: `  mini completion bash > /etc/bash_completion.d/mini
  mini completion zsh > "\${fpath[1]}/_mini"
  mini completion fish > ~/.config/fish/completions/mini.fish`,
    async run(_flags, [shell = '']) {
      process.stdout.write(completionScript(shell, commands()));
      return 0;
    },
  };
}

/** The script for a shell; throws a UsageError for one that is not known. */
export function completionScript(shell: string, commands: readonly Command[]): string {
  const all = placesOf('mini', { commands });
  if (shell === 'bash') return bash(all);
  if (shell === 'zsh')
    return `#compdef mini\nautoload -U +X bashcompinit && bashcompinit\n${bash(all)}`;
  if (shell === 'fish') return fish(all);
  throw new UsageError(`There is no completion for ${shell}: use bash, zsh or fish`);
}

function placesOf(line: string, { commands = [], flags = [] }: Partial<Command>): Place[] {
  const words = [
    ...commands.map(({ name, summary }) => ({ word: name, help: summary })),
    ...[...flags, HELP].map(({ name, help }) => ({ word: `--${name}`, help })),
  ];
  const below = commands.flatMap((command) => placesOf(`${line} ${command.name}`, command));
  return [{ line, words }, ...below];
}

/** After a flag that is not completed itself, bash falls back to file names. */
function bash(places: readonly Place[]): string {
  const cases = places.map(
    ({ line, words }) => `    '${line}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  );
  const known = places.map(({ line }) => `'${line}'`).join('|');
  return `_mini() {
  local current=\${COMP_WORDS[COMP_CWORD]} line=mini words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$line $word" in ${known}) line="$line $word" ;; esac
  done
  case "$line" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _mini mini
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ line, words }) => {
    const seen = line.split(' ').slice(1);
    const next = words.filter(({ word }) => !word.startsWith('--')).map(({ word }) => word);
    const conditions = [
      ...seen.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(next.length > 0 ? [`not __fish_seen_subcommand_from ${next.join(' ')}`] : []),
    ];
    const when = conditions.length > 0 ? ` -n '${conditions.join('; and ')}'` : '';
    return words.map(({ word, help }) => {
      const about = ` -d '${help.replaceAll("'", "\\'")}'`;
      return word.startsWith('--')
        ? `complete -c mini${when} -l ${word.slice(2)}${about}`
        : `complete -c mini${when} -f -a ${word}${about}`;
    });
  });
  return `${lines.join('\n')}\n`;
}
