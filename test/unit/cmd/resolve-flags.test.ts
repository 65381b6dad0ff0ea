/** Where the values of flags come from, and what is refused. */

import * as assert from 'uvu/assert';
import { type Flag, UsageError } from '../../../cmd/command.ts';
import { type ConfigFile, resolveFlags } from '../../../cmd/resolve-flags.ts';
import { suite } from '../../harness/suite.ts';

const FLAGS: readonly Flag[] = [
  { name: 'data-dir', value: 'dir', help: '', default: '/default' },
  { name: 'port', value: 'port', help: '', check: (text) => (text === '0' ? 'not 0' : undefined) },
  { name: 'node-label', value: 'label', help: '', isList: true },
  { name: 'level', value: 'level', help: '', choices: ['low', 'high'] },
  { name: 'disable-agent', help: '' },
  { name: 'token', value: 'token', help: '', isSecret: true, check: () => 'it is wrong' },
  { name: 'output', value: 'form', help: '', isLocal: true },
];

function file(content: Readonly<Record<string, unknown>>): ConfigFile {
  return { path: '/c.yaml', content, otherKeys: new Set(['server']) };
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.instance(error, UsageError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('Nothing was refused');
}

const NOTHING = { typed: new Map<string, unknown>(), env: {} };

suite('flags', ({ test }) => {
  test('come from the command line, then the environment, then the file, then the default', () => {
    const typed = new Map([['data-dir', '/typed']]);
    const env = { MINI_DATA_DIR: '/env' };
    const from = file({ 'data-dir': '/file' });
    const dir = (sources: Parameters<typeof resolveFlags>[1]) =>
      resolveFlags(FLAGS, sources).text('data-dir');
    assert.is(dir({ typed, env, file: from }), '/typed');
    assert.is(dir({ ...NOTHING, env, file: from }), '/env');
    assert.is(dir({ ...NOTHING, file: from }), '/file');
    assert.is(dir(NOTHING), '/default');
    assert.is(dir({ ...NOTHING, env: { MINI_DATA_DIR: '' }, file: from }), '/file');
  });

  test('that are lists take commas, repeats and YAML lists', () => {
    const list = (sources: Parameters<typeof resolveFlags>[1]) => [
      ...resolveFlags(FLAGS, sources).list('node-label'),
    ];
    assert.equal(list({ ...NOTHING, typed: new Map([['node-label', ['a=1', 'b=2,c=3']]]) }), [
      'a=1',
      'b=2',
      'c=3',
    ]);
    assert.equal(list({ ...NOTHING, env: { MINI_NODE_LABEL: 'a=1,b=2' } }), ['a=1', 'b=2']);
    assert.equal(list({ ...NOTHING, file: file({ 'node-label': ['a=1', 'b=2'] }) }), [
      'a=1',
      'b=2',
    ]);
    assert.equal(list(NOTHING), []);
  });

  test('that are switches read yes and no', () => {
    const isSet = (value: string) =>
      resolveFlags(FLAGS, { ...NOTHING, env: { MINI_DISABLE_AGENT: value } }).isSet(
        'disable-agent',
      );
    assert.is(isSet('true'), true);
    assert.is(isSet('1'), true);
    assert.is(isSet('false'), false);
    assert.is(isSet('0'), false);
    assert.match(
      refusal(() => isSet('perhaps')),
      'MINI_DISABLE_AGENT=perhaps: it must be true or',
    );
    const fromFile = resolveFlags(FLAGS, { ...NOTHING, file: file({ 'disable-agent': true }) });
    assert.is(fromFile.isSet('disable-agent'), true);
  });

  test('are refused with their value and where it stands', () => {
    const bad = (sources: Partial<Parameters<typeof resolveFlags>[1]>) =>
      refusal(() => resolveFlags(FLAGS, { ...NOTHING, ...sources }));
    assert.is(bad({ typed: new Map([['port', '0']]) }), '--port 0: not 0');
    assert.is(bad({ env: { MINI_PORT: '0' } }), 'MINI_PORT=0: not 0');
    assert.is(bad({ file: file({ port: 0 }) }), 'port in /c.yaml: 0: not 0');
    assert.is(bad({ env: { MINI_LEVEL: 'x' } }), 'MINI_LEVEL=x: it must be one of low, high');
    assert.match(bad({ file: file({ port: [1, 2] }) }), 'it takes one value, not a list');
    assert.match(bad({ file: file({ 'data-dir': { a: 1 } }) }), 'it must be a plain value');
  });

  test('of a file are known to some command', () => {
    const message = refusal(() =>
      resolveFlags(FLAGS, { ...NOTHING, file: file({ 'dat-dir': 1 }) }),
    );
    assert.match(message, 'dat-dir in /c.yaml: mini has no such setting');
    assert.is(resolveFlags(FLAGS, { ...NOTHING, file: file({ server: 'x' }) }).text('level'), '');
    assert.match(
      refusal(() => resolveFlags(FLAGS, { ...NOTHING, file: file({ output: 'json' }) })),
      'output in /c.yaml',
    );
  });

  test('that are secret are not shown when they are refused', () => {
    const typed = new Map([['token', 'S3CRET']]);
    assert.is(
      refusal(() => resolveFlags(FLAGS, { ...NOTHING, typed })),
      '--token: it is wrong',
    );
    const env = { MINI_TOKEN: 'S3CRET' };
    assert.is(
      refusal(() => resolveFlags(FLAGS, { ...NOTHING, env })),
      'MINI_TOKEN: it is wrong',
    );
    assert.not.match(
      refusal(() => resolveFlags(FLAGS, { ...NOTHING, file: file({ token: 'S3CRET' }) })),
      'S3CRET',
    );
  });

  test('of one call are not read from the environment', () => {
    const flags = resolveFlags(FLAGS, { ...NOTHING, env: { MINI_OUTPUT: 'json' } });
    assert.is(flags.optional('output'), undefined);
  });
});
