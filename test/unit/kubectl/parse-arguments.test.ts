/** The command line of kubectl. */
import * as assert from 'uvu/assert';
import { durationMs } from '../../../pkg/kubectl/durations.ts';
import { helpOf } from '../../../pkg/kubectl/help.ts';
import { parseArguments } from '../../../pkg/kubectl/parse-arguments.ts';
import type { Verb } from '../../../pkg/kubectl/verb.ts';
import { root } from '../../../pkg/kubectl/verbs.ts';
import { suite } from '../../harness/suite.ts';

const parse = (text: string) => parseArguments(root, text.split(' '));

suite('kubectl arguments', ({ test }) => {
  test('finds the verb after flags of every verb, and nested verbs', () => {
    const { path, args } = parse('-n kube-system rollout status deploy/web --timeout=5s');
    assert.equal([...path], ['rollout', 'status']);
    assert.is(args.text('namespace'), 'kube-system');
    assert.is(args.text('timeout'), '5s');
    assert.equal([...args.names], ['deploy/web']);
  });

  test('takes values after a space, after = and at once', () => {
    for (const text of ['get pods -n x', 'get pods -nx', 'get -n=x pods', 'get --namespace=x pods'])
      assert.is(parse(text).args.text('namespace'), 'x', text);
  });

  test('takes several switches in one word, and everything after --', () => {
    const { args } = parse('exec -it web -- sh -c date');
    assert.ok(args.isSet('stdin') && args.isSet('tty'));
    assert.equal([...(args.command ?? [])], ['sh', '-c', 'date']);
  });

  test('knows switches that are false, and flags that may stand without a value', () => {
    assert.not(parse('delete pod a --wait=false').args.isSet('wait'));
    assert.ok(parse('delete pod a').args.isSet('wait'));
    assert.is(parse('create ns a --dry-run').args.text('dry-run'), 'client');
    assert.is(parse('create ns a --dry-run=server').args.text('dry-run'), 'server');
  });

  test('splits lists at commas, arrays not', () => {
    assert.equal([...parse('apply -f a,b -f c').args.list('filename')], ['a', 'b', 'c']);
    const { args } = parse('create configmap c --from-literal=a=1,2 --from-literal b=3');
    assert.equal([...args.list('from-literal')], ['a=1,2', 'b=3']);
  });

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['get --nope', /unknown flag: --nope/],
    ['get -Z', /unknown shorthand flag: 'Z' in -Z/],
    ['get pods -n', /flag needs an argument: 'n' in -n/],
    ['scale deploy/x --replicas=many', /invalid argument "many" for "--replicas"/],
    ['delete pod a --cascade=no', /Must be one of: "background", "foreground", "orphan"/],
    ['replace -f a', /mini kubectl has no "replace"; use the real kubectl/],
    ['top things', /mini kubectl has no "top things"/],
    ['rollout nope', /mini kubectl has no "rollout nope"/],
  ];
  for (const [text, message] of wrong) {
    test(`refuses ${text}`, () => {
      assert.throws(() => parse(text), message);
    });
  }

  test('every verb has help that names it, and a way to run or verbs of its own', () => {
    const walk = (verb: Verb, path: readonly string[]): void => {
      assert.match(helpOf(verb, path), `mini kubectl ${verb.usage}`);
      assert.ok(verb.run || verb.verbs?.length, verb.name);
      for (const child of verb.verbs ?? []) walk(child, [...path, child.name]);
    };
    walk(root, []);
  });

  test('reads durations of Go', () => {
    assert.is(durationMs('1h2m3s'), 3_723_000);
    assert.is(durationMs('500ms'), 500);
    assert.is(durationMs('-1s'), -1000);
    assert.is(durationMs('30'), 30_000);
    assert.throws(() => durationMs('soon'), /invalid duration/);
  });
});
