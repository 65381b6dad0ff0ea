/** Generators of `kubectl create`: namespace, configmap, secret generic, serviceaccount. */

import { CREATE_FLAGS, createAll, exactlyOne, namespaceMeta } from '../creating.ts';
import { entriesOf, SOURCE_FLAGS } from '../key-values.ts';
import type { Verb } from '../verb.ts';

export const namespace: Verb = {
  name: 'namespace',
  aliases: ['ns'],
  summary: 'Create a namespace with the specified name.',
  usage: 'create namespace NAME [flags]',
  flags: CREATE_FLAGS,
  run: (call) =>
    createAll(call, {
      objects: [
        {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: exactlyOne(call.args.names) },
          spec: {},
          status: {},
        },
      ],
    }),
};

export const serviceaccount: Verb = {
  name: 'serviceaccount',
  aliases: ['sa'],
  summary: 'Create a service account with the specified name.',
  usage: 'create serviceaccount NAME [flags]',
  flags: CREATE_FLAGS,
  run: (call) =>
    createAll(call, {
      objects: [
        {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: exactlyOne(call.args.names), ...namespaceMeta(call) },
        },
      ],
    }),
};

export const configmap: Verb = {
  name: 'configmap',
  aliases: ['cm'],
  summary: 'Create a config map from a local file, directory or literal value.',
  usage: 'create configmap NAME [--from-file=[key=]source] [--from-literal=key1=value1] [flags]',
  examples: [
    'mini kubectl create configmap settings --from-literal=color=blue --from-file=app.conf',
  ],
  flags: [...CREATE_FLAGS, ...SOURCE_FLAGS],
  async run(call) {
    const name = exactlyOne(call.args.names);
    const data: Record<string, string> = {};
    const binaryData: Record<string, string> = {};
    for (const [key, value] of entriesOf(call.args)) {
      const text = value.toString('utf8');
      // What is no UTF-8 is kept as bytes.
      if (Buffer.from(text).equals(value)) data[key] = text;
      else binaryData[key] = value.toString('base64');
    }
    const object = {
      apiVersion: 'v1',
      ...(Object.keys(binaryData).length > 0 ? { binaryData } : {}),
      ...(Object.keys(data).length > 0 ? { data } : {}),
      kind: 'ConfigMap',
      metadata: { name, ...namespaceMeta(call) },
    };
    return createAll(call, { objects: [object] });
  },
};

const generic: Verb = {
  name: 'generic',
  summary: 'Create a secret from a local file, directory, or literal value.',
  usage:
    'create secret generic NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [flags]',
  flags: [
    ...CREATE_FLAGS,
    ...SOURCE_FLAGS,
    { name: 'type', type: 'text', help: 'The type of secret to create.' },
  ],
  async run(call) {
    const name = exactlyOne(call.args.names);
    const data = Object.fromEntries(
      [...entriesOf(call.args)].map(([key, value]) => [key, value.toString('base64')]),
    );
    const type = call.args.optional('type');
    const object = {
      apiVersion: 'v1',
      ...(Object.keys(data).length > 0 ? { data } : {}),
      kind: 'Secret',
      metadata: { name, ...namespaceMeta(call) },
      ...(type ? { type } : {}),
    };
    return createAll(call, { objects: [object] });
  },
};

export const secret: Verb = {
  name: 'secret',
  summary: 'Create a secret using a specified subcommand.',
  usage: 'create secret generic NAME [flags]',
  verbs: [generic],
};
