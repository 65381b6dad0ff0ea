/** Which ports of the host lead where, what is refused, and how often the table is written. */

import * as assert from 'uvu/assert';
import { silent } from '../../../pkg/log/log.ts';
import { HostRules } from '../../../pkg/network/host-rules.ts';
import type { HostPort } from '../../../pkg/network/rules.ts';
import { movableClock } from '../../harness/movable-clock.ts';
import { rejects, suite } from '../../harness/suite.ts';

const CIDRS = { podCidr: '10.42.1.0/24', clusterCidr: '10.42.0.0/16' };
const WEB: HostPort = { protocol: 'TCP', hostPort: 8081, port: 8080 };

suite('host rules', ({ test }) => {
  function open(nft: (script: string) => Promise<void> = async () => undefined) {
    const scripts: string[] = [];
    const forgotten: (readonly number[])[] = [];
    const clock = movableClock();
    const changes: (string | undefined)[] = [];
    const runtime = {
      forgetFlows: async (ports: readonly number[]) => void forgotten.push(ports),
      nft: (script: string) => {
        scripts.push(script);
        return nft(script);
      },
    };
    const options = { runtime, bridge: 'mini0', log: silent, clock, cidrs: () => CIDRS };
    const rules: HostRules = new HostRules({
      ...options,
      onChange: () => void changes.push(rules.problem),
    });
    return { rules, scripts, forgotten, clock, changes };
  }

  test('writes one table with all ports, and again without when they go', async () => {
    const { rules, scripts } = open();
    await rules.publish('a', { address: '10.42.1.2', ports: [WEB] });
    const udp: HostPort = { protocol: 'UDP', hostIp: '127.0.0.1', hostPort: 53, port: 5353 };
    await rules.publish('b', { address: '10.42.1.3', ports: [udp] });
    const last = scripts.at(-1) ?? '';
    assert.match(last, 'delete table inet mini-mini0');
    assert.match(last, 'tcp . 8081 : 10.42.1.2 . 8080');
    assert.match(last, '127.0.0.1 . udp . 53 : 10.42.1.3 . 5353');
    assert.match(last, 'ip saddr 10.42.1.0/24 ip daddr != 10.42.0.0/16 masquerade');
    await rules.unpublish('a');
    assert.not.match(scripts.at(-1) ?? '', '8081');
    await rules.unpublish('a');
    assert.is(scripts.length, 3, 'nothing to do, nothing written');
  });

  test('changes that come at once are one write', async () => {
    const { rules, scripts } = open();
    const ports = [1, 2, 3, 4].map((hostPort) => ({ ...WEB, hostPort }));
    await Promise.all(
      ports.map((port) =>
        rules.publish(String(port.hostPort), { address: '10.42.1.9', ports: [port] }),
      ),
    );
    assert.ok(scripts.length <= 2, String(scripts.length));
  });

  test('refuses a port that another sandbox has, and an address of another family', async () => {
    const { rules } = open();
    await rules.publish('a', { address: '10.42.1.2', ports: [WEB] });
    const again = rules.publish('b', { address: '10.42.1.3', ports: [WEB] });
    assert.match(String(await rejects(again)), 'host port 8081/TCP is taken by sandbox a');
    const elsewhere = { ...WEB, hostIp: '10.0.0.1' };
    await rules.publish('b', { address: '10.42.1.3', ports: [elsewhere] });
    await rules.publish('a', { address: '10.42.1.2', ports: [WEB] });
    const six = rules.publish('c', { address: '10.42.1.4', ports: [{ ...WEB, hostIp: '::1' }] });
    assert.match(String(await rejects(six)), '"::1" is no IPv4 address');
  });

  test('says what is missing when the host has no nftables, and forgets the port', async () => {
    let isBroken = true;
    const { rules, scripts } = open(async () => {
      if (isBroken) throw new Error('nft: Operation not supported');
    });
    const refused = await rejects(rules.publish('a', { address: '10.42.1.2', ports: [WEB] }));
    assert.match(String(refused), 'cannot map host ports');
    assert.match(rules.problem ?? '', 'Operation not supported');
    assert.is(rules.isWritten, false);
    isBroken = false;
    await rules.apply();
    assert.is(rules.problem, undefined);
    assert.not.match(scripts.at(-1) ?? '', '8081');
  });

  test('tries a write that failed again by itself, ever later, until the table is there', async () => {
    let isBroken = false;
    const { rules, scripts, clock, changes } = open(async () => {
      if (isBroken) throw new Error('nft: Cannot allocate memory');
    });
    await rules.publish('a', { address: '10.42.1.2', ports: [WEB] });
    isBroken = true;
    rules.restore();
    await clock.pass(100);
    for (const [delayMs, count] of [
      [1_000, 3],
      [2_000, 4],
      [4_000, 5],
    ] as const) {
      await clock.pass(delayMs - 1);
      assert.is(scripts.length, count - 1);
      await clock.pass(1);
      assert.is(scripts.length, count);
    }
    assert.is(changes.length, 1, 'told once');
    assert.match(changes[0] ?? '', 'Cannot allocate memory');
    isBroken = false;
    await clock.pass(8_000);
    assert.equal([rules.isWritten, rules.problem, changes.at(-1)], [true, undefined, undefined]);
    assert.match(scripts.at(-1) ?? '', 'tcp . 8081');
    const { length } = scripts;
    await clock.pass(600_000);
    assert.is(scripts.length, length, 'and nothing more');
  });

  test('ends the flows of UDP ports when they come and when they go', async () => {
    const { rules, forgotten } = open();
    const ports: readonly HostPort[] = [WEB, { protocol: 'UDP', hostPort: 53, port: 5353 }];
    await rules.publish('a', { address: '10.42.1.2', ports });
    await rules.unpublish('a');
    assert.equal(forgotten, [[53], [53]]);
    await rules.publish('b', { address: '10.42.1.2', ports: [WEB] });
    assert.is(forgotten.length, 2);
  });

  test('writes again what others removed, ever later while they go on, and nothing before its own first', async () => {
    const { rules, scripts, clock } = open();
    rules.restore();
    await clock.pass(10_000);
    assert.is(scripts.length, 0);
    await rules.apply();
    for (const [delayMs, count] of [
      [100, 2],
      [200, 3],
      [400, 4],
    ] as const) {
      rules.restore();
      rules.restore();
      await clock.pass(delayMs - 1);
      assert.is(scripts.length, count - 1);
      await clock.pass(1);
      assert.is(scripts.length, count);
    }
    await clock.pass(61_000);
    rules.restore();
    await clock.pass(100);
    assert.is(scripts.length, 5, 'calm again');
  });
});
