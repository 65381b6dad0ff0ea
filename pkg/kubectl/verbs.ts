/** The table of verbs. Adding one is one file in verbs/ and one line here. */

import type { Verb } from './verb.ts';
import { apply } from './verbs/apply.ts';
import { cordon, uncordon } from './verbs/cordon.ts';
import { create } from './verbs/create.ts';
import { deleteVerb } from './verbs/delete.ts';
import { attach, exec } from './verbs/exec.ts';
import { get } from './verbs/get.ts';
import { annotate, label } from './verbs/label.ts';
import { logs } from './verbs/logs.ts';
import { portForward } from './verbs/port-forward.ts';
import { scale } from './verbs/scale.ts';

/** `kubectl` itself. */
export const root: Verb = {
  name: 'kubectl',
  summary:
    "The everyday verbs of kubectl, built in. Flags, output and exit codes are kubectl's; for what is not here, use the real kubectl.",
  usage: 'COMMAND [flags]',
  verbs: [
    get,
    apply,
    create,
    deleteVerb,
    logs,
    exec,
    attach,
    portForward,
    scale,
    label,
    annotate,
    cordon,
    uncordon,
  ],
};
