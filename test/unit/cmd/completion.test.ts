/** Completion scripts: the shells that are here run them. */

import { execFileSync } from 'node:child_process';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../../cmd/commands.ts';
import { completionScript } from '../../../cmd/completion.ts';
import { suite } from '../../harness/suite.ts';

/** What bash offers after this line. */
function complete(...words: readonly string[]): string[] {
  const script = `${completionScript('bash', COMMANDS)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_mini
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
}

suite('completion', ({ test }) => {
  test('bash offers sub-commands, those below them, and flags', () => {
    assert.equal(complete('mini', 'ser'), ['server']);
    assert.equal(complete('mini', 'token', 'cre'), ['create']);
    assert.equal(complete('mini', 'server', '--https'), ['--https-listen-port']);
    assert.equal(complete('mini', 'token', 'create', '--tt'), ['--ttl']);
    assert.ok(complete('mini', '').includes('up'));
  });

  test('every command of the table is in every script', () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const script = completionScript(shell, COMMANDS);
      for (const { name } of COMMANDS) assert.ok(script.includes(name), `${shell}: ${name}`);
    }
    assert.match(
      completionScript('fish', COMMANDS),
      "complete -c mini -n '__fish_seen_subcommand_from token",
    );
    assert.match(completionScript('zsh', COMMANDS), /^#compdef mini/);
  });

  test('an unknown shell is refused', () => {
    assert.throws(() => completionScript('tcsh', COMMANDS), /use bash, zsh or fish/);
  });
});
