/** The table of verbs. Adding one is one file in verbs/ and one line here. */

import type { Verb } from './verb.ts';
import { apply } from './verbs/apply.ts';
import { apiResources, clusterInfo, version } from './verbs/cluster-info.ts';
import { config } from './verbs/config.ts';
import { cordon, uncordon } from './verbs/cordon.ts';
import { create } from './verbs/create.ts';
import { deleteVerb } from './verbs/delete.ts';
import { describe } from './verbs/describe.ts';
import { drain } from './verbs/drain.ts';
import { edit } from './verbs/edit.ts';
import { attach, exec } from './verbs/exec.ts';
import { expose } from './verbs/expose.ts';
import { get } from './verbs/get.ts';
import { annotate, label } from './verbs/label.ts';
import { logs } from './verbs/logs.ts';
import { patch } from './verbs/patch.ts';
import { portForward } from './verbs/port-forward.ts';
import { rollout } from './verbs/rollout.ts';
import { run } from './verbs/run.ts';
import { scale } from './verbs/scale.ts';
import { top } from './verbs/top.ts';
import { wait } from './verbs/wait.ts';

/** `kubectl` itself. */
export const root: Verb = {
  name: 'kubectl',
  summary:
    "The everyday verbs of kubectl, built in. Flags, output and exit codes are kubectl's; for what is not here, use the real kubectl.",
  usage: 'COMMAND [flags]',
  verbs: [
    get,
    describe,
    create,
    apply,
    deleteVerb,
    run,
    expose,
    scale,
    rollout,
    logs,
    exec,
    attach,
    portForward,
    label,
    annotate,
    patch,
    edit,
    wait,
    cordon,
    uncordon,
    drain,
    top,
    clusterInfo,
    apiResources,
    version,
    config,
  ],
};
