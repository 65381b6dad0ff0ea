/** `kubectl create`: objects from files, or one of the generators. */

import { changePrinter } from '../changes.ts';
import { CREATE_FLAGS, createAll, sendNew } from '../creating.ts';
import { isClientDryRun } from '../dry-run.ts';
import { forEachTried } from '../each.ts';
import { FILENAME_FLAGS, locate, readManifests } from '../files.ts';
import { KubectlError, refused } from '../kubectl-error.ts';
import { named } from '../source-errors.ts';
import type { Call, Verb } from '../verb.ts';
import { configmap, namespace, secret, serviceaccount } from './create-config.ts';
import { token } from './create-token.ts';
import { deployment, job, service } from './create-workload.ts';

export const create: Verb = {
  name: 'create',
  summary: 'Create a resource from a file or from stdin.',
  usage: 'create -f FILENAME [flags]',
  examples: [
    'mini kubectl create -f pod.yaml',
    'mini kubectl create deployment web --image=mini/hello --replicas=3',
    'mini kubectl create configmap settings --from-literal=color=blue',
  ],
  flags: [...FILENAME_FLAGS, ...CREATE_FLAGS],
  verbs: [namespace, deployment, configmap, secret, serviceaccount, service, job, token],
  run: createFromFiles,
};

async function createFromFiles({ args, io, api }: Call): Promise<number> {
  const files = args.list('filename');
  const [generator] = args.names;
  if (generator !== undefined) throw refused(`"create ${generator}"`);
  if (files.length === 0) throw new KubectlError('must specify one of -f and -k');
  const isRecursive = args.isSet('recursive');
  const manifests = await readManifests({ files, isRecursive, stdin: io.stdin });
  if (isClientDryRun(args))
    return createAll({ args, io, api }, { objects: manifests.map(({ object }) => object) });
  const print = changePrinter(args, io);
  await forEachTried(await locate(api(), manifests), async ({ object, source }) => {
    const sent = sendNew({ args, api }, { object, manager: 'kubectl-create' });
    print(await named(sent, { doing: 'creating', source }), 'created');
  });
  return 0;
}
