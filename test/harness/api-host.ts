/** A server of the built executable without a node, on a test host of its own, for tests of its API. */

import { type Host, type Running, Switch } from './hosts.ts';
import { eventually, type RawApi, rawApi } from './raw-api.ts';

export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

export interface ApiHost {
  readonly host: Host;
  readonly api: RawApi;
  /** Of the server that runs now. */
  readonly server: Running;
  /** kill -9 and start; resolves when the API answers again. */
  restart(): Promise<void>;
  /** All servers' output has shown no stack trace: throws otherwise. */
  checkOutput(): void;
  close(): Promise<void>;
}

/** Starts it; `prepare` runs on the booted host before. */
export async function startApiHost(
  prepare: (host: Host) => Promise<unknown> = async () => undefined,
): Promise<ApiHost> {
  const network = new Switch();
  try {
    const host = await network.addHost('one');
    await prepare(host);
    let server = host.startMini('server', '--disable-agent');
    const api = await rawApi(host);
    let output = '';
    const ready = async () => {
      const answer = await api.call('/readyz').catch(() => undefined);
      return answer?.code === 200;
    };
    await eventually('a ready server', ready, () => server.output());
    return {
      host,
      api,
      get server() {
        return server;
      },
      restart: async () => {
        await server.kill('SIGKILL');
        output += server.output();
        server = host.startMini('server', '--disable-agent');
        await eventually('a ready server', ready, () => server.output());
      },
      checkOutput: () => {
        const stack = /^ +at .*$/m.exec(output + server.output());
        if (stack) throw new Error(`A stack trace:\n${output}${server.output()}`);
      },
      close: async () => {
        await api.close();
        await network.close();
      },
    };
  } catch (error) {
    await network.close();
    throw error;
  }
}
