/** Which address a sandbox gets, and when an address is given out again. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { silent } from '../../../pkg/log/log.ts';
import { AddressPool } from '../../../pkg/network/addresses.ts';
import { createNetwork, vethName } from '../../../pkg/network/network.ts';
import { rejects, suite } from '../../harness/suite.ts';

suite('addresses', ({ test, cleanup }) => {
  async function open(directory?: string, podCidr?: string) {
    const dataDir = directory ?? (await mkdtemp(join(tmpdir(), 'mini-network-')));
    cleanup(() => rm(dataDir, { recursive: true, force: true }));
    const bridges: unknown[] = [];
    const runtime = {
      ensureBridge: async (bridge: unknown) => void bridges.push(bridge),
      nft: async () => undefined,
      forgetFlows: async () => undefined,
    };
    const options = podCidr === undefined ? {} : { podCidr };
    const network = await createNetwork({ runtime, dataDir, log: silent, ...options });
    return { network, dataDir, bridges };
  }

  test('gives addresses never used first, then the one free for longest', () => {
    const pool = new AddressPool('10.42.3.0/29');
    assert.is(pool.gateway, '10.42.3.1');
    const given = ['a', 'b', 'c', 'd', 'e'].map((owner) => pool.allocate(owner));
    assert.equal(given, ['10.42.3.2', '10.42.3.3', '10.42.3.4', '10.42.3.5', '10.42.3.6']);
    assert.throws(() => pool.allocate('f'), 'all 5 addresses of 10.42.3.0/29 are in use');
    pool.release('d');
    pool.release('b');
    assert.is(pool.allocate('g'), '10.42.3.5');
    assert.is(pool.allocate('h'), '10.42.3.3');
    assert.is(pool.allocate('g'), '10.42.3.5', 'the same owner keeps its address');
    assert.is(pool.release('nobody'), false);
  });

  for (const cidr of ['10.0.0.0', '10.0.0.0/30', '10.0.0.0/7', 'fd00::/64', 'x/24', '10.0.0/24']) {
    test(`refuses ${cidr}`, () => {
      assert.throws(() => new AddressPool(cidr), cidr);
    });
  }

  test('keeps addresses over a restart, and frees those of sandboxes that are gone', async () => {
    const { network, dataDir, bridges } = await open(undefined, '10.42.0.0/24');
    assert.equal(bridges, [
      { name: 'mini0', address: '10.42.0.1/24', mtu: 1500, isLocalhostRouted: false },
    ]);
    const attached = await network.attach('one');
    assert.is(attached.address, '10.42.0.2/24');
    assert.is(attached.hostName, vethName('mini0', 'one'));
    await Promise.all([network.attach('two'), network.attach('three')]);
    await network.release('two');
    const { network: again } = await open(dataDir);
    assert.is(again.podCidr, '10.42.0.0/24');
    assert.is(again.addressOf('one'), '10.42.0.2');
    assert.is(again.addressOf('two'), undefined);
    assert.equal(await again.releaseOthers(['one']), ['three']);
    assert.is((await again.attach('four')).address, '10.42.0.5/24', 'the freed ones come later');
  });

  test('says that the pod CIDR is not known yet, and takes it later', async () => {
    const { network, bridges } = await open();
    assert.match(String(await rejects(network.attach('one'))), 'not known yet');
    assert.equal(bridges, []);
    await network.setPodCidr('10.42.7.0/24');
    await network.setPodCidr('10.42.7.0/24');
    assert.is((await network.attach('one')).gateway, '10.42.7.1');
    assert.match(String(await rejects(network.setPodCidr('10.42.8.0/24'))), '1 sandboxes');
    await network.release('one');
    await network.setPodCidr('10.42.8.0/24');
    assert.is((await network.attach('one')).address, '10.42.8.2/24');
  });

  test('names interfaces in 15 bytes, differently by bridge', () => {
    const name = vethName('mini0', 'a'.repeat(64));
    assert.is(name.length, 15);
    assert.is(name, vethName('mini0', 'a'.repeat(64)));
    assert.is.not(name, vethName('mini1', 'a'.repeat(64)));
  });

  test('sets a damaged file aside and takes the addresses that sandboxes are known to have', async () => {
    const { network, dataDir } = await open(undefined, '10.42.0.0/24');
    const one = await network.attach('one');
    const two = await network.attach('two');
    const path = join(dataDir, 'network/addresses.json');
    for (const damage of ['', '[]', '{"cidr":']) {
      await writeFile(path, damage);
      const again = (await open(dataDir)).network;
      assert.is(await readFile(`${path}.damaged`, 'utf8'), damage);
      await again.restore(new Map([['two', two.address]]));
      assert.is(again.podCidr, '10.42.0.0/24');
      assert.is((await again.attach('two')).address, two.address);
      assert.is((await again.attach('three')).address, '10.42.0.4/24', 'not that of another');
      const once = (await open(dataDir)).network;
      await once.restore(new Map([['one', one.address]]));
      assert.is((await once.attach('one')).address, one.address, 'a list that lacks one is mended');
    }
  });

  test('refuses a bridge name that the kernel would not take', async () => {
    const dataDir = (await open()).dataDir;
    const runtime = {
      ensureBridge: async () => undefined,
      nft: async () => undefined,
      forgetFlows: async () => undefined,
    };
    const bad = createNetwork({ runtime, dataDir, log: silent, bridge: 'a-name-too-long-for-it' });
    assert.match(String(await rejects(bad)), 'bridge name');
  });
});
