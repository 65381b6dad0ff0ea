/** `kubectl exec` and `kubectl attach`: a command in a container, or the container's own. */

import type { Pod } from '../../api/generated/types.ts';
import type { Api } from '../api.ts';
import type { FlagSpec } from '../flag.ts';
import { KubectlError } from '../kubectl-error.ts';
import { containerOf, podOf } from '../pods.ts';
import { runRemote, terminalOf } from '../remote-command.ts';
import type { Call, Io, Verb } from '../verb.ts';

const STREAM_FLAGS: readonly FlagSpec[] = [
  { name: 'container', short: 'c', type: 'text', help: 'Container name.' },
  { name: 'stdin', short: 'i', type: 'switch', help: 'Pass stdin to the container.' },
  { name: 'tty', short: 't', type: 'switch', help: 'Stdin is a TTY.' },
  { name: 'quiet', short: 'q', type: 'switch', help: 'Only print output from the remote session.' },
];

export const exec: Verb = {
  name: 'exec',
  summary: 'Execute a command in a container.',
  usage: 'exec (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]',
  examples: ['mini kubectl exec web-1 -- date', 'mini kubectl exec -it deploy/web -- sh'],
  flags: STREAM_FLAGS,
  async run({ args, io, api }) {
    const [name, ...others] = args.names;
    const { command } = args;
    if (name === undefined)
      throw new KubectlError('pod, type/name or --filename must be specified');
    if (others.length > 0)
      throw new KubectlError(
        "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'mini kubectl exec -h' for help and examples",
      );
    if (!command?.length)
      throw new KubectlError('you must specify at least one command for the container');
    const { pod, container } = await targetOf({ args, io, api }, name);
    const hasStdin = args.isSet('stdin');
    const hasTerminal = terminalOf(io, { isAsked: args.isSet('tty') && hasStdin });
    return runRemote(api(), io, { verb: 'exec', pod, container, command, hasStdin, hasTerminal });
  },
};

export const attach: Verb = {
  name: 'attach',
  summary: 'Attach to a running container.',
  usage: 'attach (POD | TYPE/NAME) [-c CONTAINER] [flags]',
  examples: ['mini kubectl attach web-1', 'mini kubectl attach -it shell'],
  flags: STREAM_FLAGS,
  async run({ args, io, api }) {
    const [name, ...others] = args.names;
    if (name === undefined || others.length > 0)
      throw new KubectlError('POD or TYPE/NAME is a required argument for the attach command');
    const { pod, container } = await targetOf({ args, io, api }, name);
    const isAsked = args.isSet('tty') && args.isSet('stdin');
    return attachTo({ api: api(), io, pod, container }, { hasStdin: args.isSet('stdin'), isAsked });
  },
};

/** Attaches to a container of a pod, with a terminal if it has one; resolves to its exit code. */
export async function attachTo(
  { api, io, pod, container }: { api: Api; io: Io; pod: Pod; container: string },
  { hasStdin, isAsked }: { readonly hasStdin: boolean; readonly isAsked: boolean },
): Promise<number> {
  const own = pod.spec.containers.find(({ name }) => name === container);
  if (isAsked && own && !own.tty)
    io.stderr.write(`error: Unable to use a TTY - container ${container} did not allocate one\n`);
  const hasTerminal = terminalOf(io, { isAsked: isAsked && own?.tty === true });
  if (hasTerminal) io.stderr.write("If you don't see a command prompt, try pressing enter.\n");
  return runRemote(api, io, { verb: 'attach', pod, container, hasStdin, hasTerminal });
}

async function targetOf({ args, io, api }: Call, name: string) {
  const pod = await podOf(api(), name);
  const { phase } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed')
    throw new KubectlError(
      `cannot exec into a container in a completed pod; current phase is ${phase}`,
    );
  const tell = (text: string) => void (args.isSet('quiet') || io.stderr.write(text));
  return { pod, container: containerOf(pod, args.optional('container'), tell) };
}
