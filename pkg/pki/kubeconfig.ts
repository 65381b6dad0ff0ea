/** The kubeconfig that kubectl reads: one cluster, one user, one context, everything embedded. */

import type { KeyPair } from './key-pair.ts';

export interface KubeconfigOptions {
  /** e.g. https://127.0.0.1:6443 */
  readonly server: string;
  readonly ca: string;
  readonly client: KeyPair;
  /** Of cluster, user and context; default `default`, as k3s has it. */
  readonly name?: string;
}

/** The kubeconfig as YAML; write it with writePrivateFile, for it holds the admin's key. */
export function formatKubeconfig({
  server,
  ca,
  client,
  name = 'default',
}: KubeconfigOptions): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(ca)}
users:
- name: ${name}
  user:
    client-certificate-data: ${base64(client.certificate)}
    client-key-data: ${base64(client.key)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}
current-context: ${name}
`;
}
