/**
 * The executable as it ships, where cgroup v2 is all there is: a server whose node becomes Ready, and a pod's life on it.
 * Run inside the machine of test/vm.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';
import { sleep } from '../../pkg/wait/clock.ts';
import { suite } from '../harness/suite.ts';

const MINI = '/work/dist/mini';
const KUBECTL = ['/bin/kubectl', '--kubeconfig', '/etc/mini/kubeconfig.yaml'] as const;
const ADDRESS = '10.99.0.1';
/** Generous: the machine is emulated, and may have to share what emulates it. */
const DEADLINE_MS = 240_000;
const LONG = `--timeout=${DEADLINE_MS / 1000}s`;
const POLL_MS = 200;

const execute = promisify(execFile);

async function kubectl(...args: readonly string[]): Promise<string> {
  const [program, ...flags] = KUBECTL;
  const { stdout } = await execute(program, [...flags, ...args]);
  return stdout;
}

async function until<T>(what: string, check: () => Promise<T | undefined | false>): Promise<T> {
  const deadlineMs = Date.now() + DEADLINE_MS;
  let last: unknown;
  while (Date.now() < deadlineMs) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`Waited ${DEADLINE_MS} ms for ${what}: ${last}`);
}

function fetchText(host: string, port: number): Promise<string> {
  return new Promise((done, fail) => {
    get({ host, port, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => done(text));
    }).on('error', fail);
  });
}

function startServer(): { readonly child: ChildProcess; output(): string } {
  const child = spawn(MINI, ['server', '--node-name', 'vm', '--node-ip', ADDRESS], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  return { child, output: () => text };
}

/** The sample image has no other program than its server: tools come from the machine. */
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'hello' },
  spec: {
    containers: [
      {
        name: 'hello',
        image: 'mini/hello',
        resources: { limits: { memory: '64Mi', cpu: '500m' } },
        volumeMounts: [{ name: 'tools', mountPath: '/tools' }],
      },
    ],
    volumes: [{ name: 'tools', hostPath: { path: '/bin' } }],
  },
};

async function live(output: () => string): Promise<void> {
  // Not by asking all the time: that would take the server's processor away.
  await until('the node', async () => output().includes('Node runs'));
  await until('a ready node', () => kubectl('wait', 'node/vm', '--for=condition=Ready', LONG));
  writeFileSync('/tmp/pod.json', JSON.stringify(POD));
  await kubectl('apply', '-f', '/tmp/pod.json');
  await kubectl('wait', 'pod/hello', '--for=condition=Ready', LONG);
  const address = await kubectl('get', 'pod', 'hello', '-o', 'jsonpath={.status.podIP}');
  assert.match(await fetchText(address, 8080), /hello/);
  const limits = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/cpu.max'];
  const found = await kubectl('exec', 'hello', '--', '/tools/busybox', 'cat', ...limits);
  assert.is(found, `${64 << 20}\n50000 100000\n`);
  await kubectl('delete', 'pod', 'hello', LONG);
  assert.is((await kubectl('get', 'pods', '-o', 'name')).trim(), '');
}

suite('cluster on cgroup v2', ({ test, cleanup }) => {
  const story = async () => {
    const server = startServer();
    cleanup(async () => {
      const ended = new Promise((done) => server.child.once('close', done));
      server.child.kill('SIGTERM');
      await ended;
    });
    try {
      await live(server.output);
    } catch (cause) {
      throw new Error(`${cause}\n${server.output()}`, { cause });
    }
  };
  test('runs, answers, executes and deletes a pod', story, 2 * DEADLINE_MS);
});
