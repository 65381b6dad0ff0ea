/** `kubectl create token`: a token of a service account, printed. */

import { exactlyOne } from '../creating.ts';
import { durationMs } from '../durations.ts';
import { KubectlError } from '../kubectl-error.ts';
import type { Verb } from '../verb.ts';

interface TokenRequest {
  readonly status?: { readonly token?: string };
}

export const token: Verb = {
  name: 'token',
  summary: 'Request a service account token.',
  usage: 'create token SERVICE_ACCOUNT_NAME [flags]',
  flags: [
    { name: 'audience', type: 'array', help: 'Audience of the requested token.' },
    { name: 'duration', type: 'text', default: '0s', help: 'Requested lifetime of the token.' },
  ],
  async run({ args, io, api }) {
    const name = exactlyOne(args.names);
    const audiences = args.list('audience');
    const seconds = Math.ceil(durationMs(args.text('duration')) / 1000);
    const answer = await api().client.createSub<TokenRequest>(
      'serviceaccounts',
      { namespace: api().namespace, name },
      'token',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          ...(audiences.length > 0 ? { audiences } : {}),
          ...(seconds > 0 ? { expirationSeconds: seconds } : {}),
        },
      },
    );
    if (!answer.status?.token)
      throw new KubectlError('failed to create token: no token in server response');
    io.stdout.write(`${answer.status.token}\n`);
    return 0;
  },
};
