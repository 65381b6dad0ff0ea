/** `mini licenses`: the licence of mini and of everything that the executable carries. */

import { readFileSync } from 'node:fs';
import { findAssets } from './assets.ts';
import type { Command } from './command.ts';

export const licensesCommand: Command = {
  name: 'licenses',
  group: 'Other:',
  summary: 'Print the licences of mini and of all it carries',
  async run() {
    process.stdout.write(readFileSync(findAssets().notices, 'utf8'));
    return 0;
  },
};
