/** A cluster on test hosts: mini server on the first, agents on others, real kubectl, and a busybox image. */

import { readFileSync } from 'node:fs';
import { type Host, type Output, type Running, type RunOptions, Switch } from './hosts.ts';
import { buildImage, dockerArchive } from './images.ts';
import { tools } from './kubectl.ts';

const MINI = 'mini';
/** Between two looks: a tenth of the time waited so far, within these. Each look is a run of kubectl. */
const POLL_MIN_MS = 100;
const POLL_MAX_MS = 500;
const KUBECONFIG = '/etc/mini/kubeconfig.yaml';
/** The applets that the tests use; each a link to busybox, as in the image of that name. */
const APPLETS =
  'sh ls cat echo sleep true false env id hostname ps kill tar test mkdir rm touch head tail wc nc wget httpd ip stty seq dd date nslookup trap sync df mount'.split(
    ' ',
  );

export const BUSYBOX = 'docker.io/library/busybox:1.35';

/** An archive of a busybox image, as docker save writes it. Further tags make the same content other images. */
async function busyboxArchive(tag: string, config: object): Promise<Buffer> {
  const busybox = readFileSync('/bin/busybox');
  const image = await buildImage({
    tag,
    layers: [
      [
        { name: 'bin/', type: 'directory', mode: 0o755 },
        { name: 'bin/busybox', content: busybox, mode: 0o755 },
        ...APPLETS.map((name) => ({
          name: `bin/${name}`,
          type: 'symlink' as const,
          linkname: 'busybox',
        })),
        { name: 'tmp/', type: 'directory', mode: 0o1777 },
        {
          name: 'etc/passwd',
          content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
        },
        { name: 'etc/group', content: 'root:x:0:\nnobody:x:65534:\n' },
        { name: 'version', content: tag },
      ],
    ],
    config: { Cmd: ['sh'], Env: ['PATH=/bin'], ...config },
  });
  return dockerArchive(image);
}

export class Cluster {
  readonly network = new Switch();
  readonly hosts: Host[] = [];
  server: Running | undefined;
  readonly agents = new Map<string, Running>();
  #kubectl = '';

  /** Boots the first host and starts a server on it; resolves when its node is Ready. */
  static async start(...flags: readonly string[]): Promise<Cluster> {
    const cluster = new Cluster();
    try {
      await cluster.addHost('one');
      cluster.startServer(...flags);
      await cluster.nodeReady('one');
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** The first host, which runs the server. */
  get one(): Host {
    const [host] = this.hosts;
    if (!host) throw new Error('The cluster has no host');
    return host;
  }

  async addHost(name: string): Promise<Host> {
    this.#kubectl ||= (await tools()).kubectl;
    const host = await this.network.addHost(name);
    this.hosts.push(host);
    return host;
  }

  startServer(...flags: readonly string[]): Running {
    this.server = this.one.startMini('server', ...flags);
    return this.server;
  }

  /** Starts an agent that joins with the server's token; resolves when its node is Ready. */
  async join(host: Host, ...flags: readonly string[]): Promise<Running> {
    const token = (await this.one.ok(['cat', '/var/lib/mini/server/node-token'])).trim();
    const agent = host.startMini(
      'agent',
      '--server',
      `https://${this.one.address}:6443`,
      '--token',
      token,
      ...flags,
    );
    this.agents.set(host.name, agent);
    await this.nodeReady(host.name);
    return agent;
  }

  /** kubectl's command line up to its arguments. */
  get program(): readonly string[] {
    return [this.#kubectl, '--kubeconfig', KUBECONFIG];
  }

  /** Runs kubectl on the first host, to its end. */
  try(args: readonly string[], options: RunOptions = {}): Promise<Output> {
    return this.one.run([...this.program, ...args], options);
  }

  /** Runs kubectl, which must succeed; resolves to its standard output. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(args);
    if (code !== 0)
      throw new Error(`kubectl ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Starts kubectl and leaves it running. */
  startKubectl(...args: readonly string[]): Running {
    return this.one.start([...this.program, ...args]);
  }

  /** Starts kubectl on a terminal of 100 columns and 30 rows, for the test to type into. */
  startTerminal(...args: readonly string[]): Running {
    const line = [...this.program, ...args].map(quoted).join(' ');
    const command = `stty rows 30 cols 100; exec ${line}`;
    return this.one.startTyping(['script', '-qec', command, '/dev/null'], { TERM: 'xterm' });
  }

  /** Runs kubectl, which must fail and say this. */
  async refused(message: RegExp, ...args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await this.try(args);
    if (code === 0 || !message.test(stderr))
      throw new Error(
        `kubectl ${args.join(' ')} ended with ${code}, not ${message}\n${stdout}${stderr}`,
      );
  }

  /** kubectl apply of these objects. */
  async apply(...objects: readonly object[]): Promise<void> {
    const input = objects.map((object) => JSON.stringify(object)).join('\n---\n');
    const { code, stderr } = await this.try(['apply', '-f', '-'], { input });
    if (code !== 0) throw new Error(`kubectl apply: ${stderr}`);
  }

  /** Resolves when `check` gives something truthy; rejects with what it last gave or threw. */
  async until<T>(
    what: string,
    check: () => Promise<T | undefined | false>,
    timeoutMs = 30_000,
  ): Promise<T> {
    const startMs = Date.now();
    let last: unknown;
    for (;;) {
      try {
        const found = await check();
        if (found) return found;
        last = found;
      } catch (error) {
        last = error;
      }
      const waitedMs = Date.now() - startMs;
      if (waitedMs > timeoutMs)
        throw new Error(`Waited ${timeoutMs} ms for ${what}: ${last}\n${this.logs()}`);
      const pauseMs = Math.min(Math.max(waitedMs / 10, POLL_MIN_MS), POLL_MAX_MS);
      await new Promise((next) => setTimeout(next, pauseMs));
    }
  }

  async nodeReady(name: string, isReady = true): Promise<void> {
    const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    await this.until(`node ${name} ${isReady ? 'ready' : 'not ready'}`, async () => {
      const { stdout } = await this.try(['get', 'node', name, '-o', path]);
      return stdout !== '' && (stdout === 'True') === isReady;
    });
  }

  /** Imports the busybox image on every host that runs a node; `config` adds to what the image says of its containers. */
  async importBusybox(tag = BUSYBOX, config: object = {}): Promise<void> {
    const archive = await busyboxArchive(tag, config);
    for (const host of this.hosts)
      await host.ok([MINI_PATH, 'image', 'import', '-'], { input: archive });
  }

  /** What server and agents have printed. */
  logs(): string {
    const parts = [`--- server\n${this.server?.output() ?? ''}`];
    for (const [name, agent] of this.agents) parts.push(`--- agent on ${name}\n${agent.output()}`);
    return parts.join('\n');
  }

  close(): Promise<void> {
    return this.network.close();
  }
}

/** For a shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** One cluster for all tests of a file: the first that asks starts it, the last one closes it. */
export class SharedCluster {
  readonly #make: () => Promise<Cluster>;
  #started: Promise<Cluster> | undefined;

  constructor(make: () => Promise<Cluster>) {
    this.#make = make;
  }

  get(): Promise<Cluster> {
    this.#started ??= this.#make();
    return this.#started;
  }

  /** Rejects when anything was left behind. */
  async close(): Promise<void> {
    await (await this.#started)?.close();
  }
}

/** A cluster of so many nodes, named one, two, three, each with the busybox image. */
export async function clusterOf(nodes: 1 | 2 | 3): Promise<Cluster> {
  const cluster = await Cluster.start();
  try {
    for (const name of ['two', 'three'].slice(0, nodes - 1))
      await cluster.join(await cluster.addHost(name));
    await cluster.importBusybox();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

const MINI_PATH = new URL(`../../dist/${MINI}`, import.meta.url).pathname;
