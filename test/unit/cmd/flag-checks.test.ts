/** What the values of flags must look like. */

import * as assert from 'uvu/assert';
import * as checks from '../../../cmd/flag-checks.ts';
import { isRuntime, parseRuntime } from '../../../cmd/runtime-flag.ts';
import { SERVER_FLAGS } from '../../../cmd/server-flags.ts';
import { overlap } from '../../../cmd/server-settings.ts';
import { suite } from '../../harness/suite.ts';

interface Case {
  readonly check: (value: string) => string | undefined;
  readonly right: readonly string[];
  readonly wrong: readonly string[];
}

const CASES: Readonly<Record<string, Case>> = {
  runtime: {
    check: isRuntime,
    right: ['runc=/usr/sbin/runc', 'g-1=/opt/runsc,--platform=ptrace,--debug'],
    wrong: ['', 'runc', '/usr/sbin/runc', 'runc=runc', 'Runc=/r', 'mini=/r', '=/r', '-a=/r'],
  },
  address: {
    check: checks.isAddress,
    right: ['10.0.0.1', 'fd00::1'],
    wrong: ['', '10.0.0', 'host'],
  },
  port: {
    check: checks.isPort,
    right: ['1', '6443', '65535'],
    wrong: ['0', '65536', '-1', '1.5', 'x'],
  },
  block: {
    check: checks.isIpv4Block,
    right: ['10.42.0.0/16', '10.0.0.0/30'],
    wrong: [
      '10.42.0.0',
      '10.42.0.0/33',
      '10.42.0.0/31',
      '300.0.0.0/8',
      '10.0.0.0/8,fd00::/64',
      '::/8',
    ],
  },
  mode: { check: checks.isFileMode, right: ['600', '0644'], wrong: ['8', '999', 'rw', '64444'] },
  name: {
    check: checks.isNameOrAddress,
    right: ['mini.example.org', '*.example.org', '10.0.0.1', 'a'],
    wrong: ['', 'a b', '-a', 'https://a'],
  },
  node: { check: checks.isNodeName, right: ['one', 'pi-4.lan'], wrong: ['One', 'a_b', '-a', ''] },
  url: {
    check: checks.isServerUrl,
    right: ['https://10.0.0.1:6443', 'https://mini.example.org'],
    wrong: ['10.0.0.1:6443', 'http://10.0.0.1:6443', 'https://', ''],
  },
  label: {
    check: checks.isLabel,
    right: ['a=b', 'example.org/a=', 'a=b.c_d'],
    wrong: ['a', '=b', 'a=b c', 'a=b=c', '/a=b'],
  },
  taint: {
    check: checks.isTaint,
    right: ['a=b:NoSchedule', 'a:NoExecute', 'example.org/a=:PreferNoSchedule'],
    wrong: ['a=b', 'a=b:Never', ':NoSchedule', 'a=b:NoSchedule:x'],
  },
  interface: {
    check: checks.isInterfaceName,
    right: ['mini0'],
    wrong: ['', 'a/b', 'x'.repeat(16)],
  },
  cgroup: {
    check: checks.isCgroupPath,
    right: ['/mini', '/a/b.slice'],
    wrong: ['mini', '/', '/a/../b'],
  },
  token: {
    check: checks.isToken,
    right: ['secret', `K10${'a'.repeat(64)}::server:x`],
    wrong: ['K10abc::server:x', `K10${'a'.repeat(64)}::`, 'a b'],
  },
};

suite('values of flags', ({ test }) => {
  for (const [name, { check, right, wrong }] of Object.entries(CASES)) {
    test(`${name}: right ones pass, wrong ones are told why`, () => {
      for (const value of right) assert.is(check(value), undefined, value);
      for (const value of wrong) assert.type(check(value), 'string', value);
    });
  }

  test('defaults pass their own checks', () => {
    for (const flag of SERVER_FLAGS) {
      if (flag.default === undefined) continue;
      assert.is(flag.check?.(String(flag.default)), undefined, flag.name);
    }
  });

  test('a runtime is a name, a path and arguments', () => {
    assert.equal(parseRuntime('a=/b=c,--d=e,--f'), {
      name: 'a',
      path: '/b=c',
      args: ['--d=e', '--f'],
    });
  });

  test('only components that exist can be disabled', () => {
    const disable = SERVER_FLAGS.find(({ name }) => name === 'disable');
    assert.is(disable?.check?.('scheduler'), undefined);
    assert.match(
      disable?.check?.('traefik') ?? '',
      'there are controllers, local-storage, scheduler',
    );
  });

  test('blocks overlap when one lies in the other', () => {
    assert.is(overlap('10.42.0.0/16', '10.43.0.0/16'), false);
    assert.is(overlap('10.0.0.0/8', '10.43.0.0/16'), true);
    assert.is(overlap('10.43.7.0/24', '10.43.0.0/16'), true);
    assert.is(overlap('10.43.0.9/16', '10.43.0.0/16'), true);
  });
});
