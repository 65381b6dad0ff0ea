/** What a pod's worker decides, case by case. */

import * as assert from 'uvu/assert';
import { decide, type Facts, type Plan } from '../../../../pkg/agent/pod/decide.ts';
import { containerHash } from '../../../../pkg/agent/pod/labels.ts';
import type { ContainerRecord, PodView } from '../../../../pkg/agent/pod/records.ts';
import type { Container, Pod, PodSpec } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

const container = (name: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'i',
  ...more,
});

function podOf(spec: Partial<PodSpec>): Pod {
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [container('a')], ...spec },
  };
}

/** 'running', 'created', or an exit code; an array is newest first. */
type State = 'running' | 'created' | number;

function viewOf(
  states: Readonly<Record<string, State | readonly State[]>>,
  isReady = true,
): PodView {
  const containers = new Map<string, readonly ContainerRecord[]>();
  for (const [name, value] of Object.entries(states)) {
    const runs: readonly State[] = typeof value === 'object' ? value : [value];
    containers.set(
      name,
      runs.map((state, index) => record(name, state, runs.length - 1 - index)),
    );
  }
  return { sandbox: { id: 's', labels: {}, createdAt: '', isReady }, containers };
}

function record(name: string, state: State, attempt: number): ContainerRecord {
  const base = {
    id: `${name}${attempt}`,
    name,
    attempt,
    epoch: 0,
    hash: containerHash(container(name)),
    image: 'i',
    imageId: 'x',
    user: { uid: 0, gid: 0, additionalGids: [] },
  };
  if (typeof state !== 'number') return { ...base, status: state };
  return { ...base, status: 'exited', ended: { exitCode: state, reason: 'x' } };
}

function plan(spec: Partial<PodSpec>, view: PodView, more: Partial<Facts> = {}): Plan {
  return decide({
    pod: podOf(spec),
    view,
    activeMs: 0,
    hold: () => undefined,
    unhealthy: () => undefined,
    isStarted: () => true,
    ...more,
  });
}

/** `start:a#1`, `kill:a`, … */
function told({ actions }: Plan): readonly string[] {
  return actions.map((action) =>
    action.kind === 'start'
      ? `start:${action.container.name}#${action.attempt}`
      : `${action.kind}:${action.container.name}`,
  );
}

const sidecar = container('s', { restartPolicy: 'Always' });
const two = { containers: [container('a'), container('b')] };
const inits = { initContainers: [container('i'), container('j')] };

suite('agent: decide', ({ test }) => {
  test('without a sandbox, one is needed, and the containers start after it', () => {
    const made = plan(two, { sandbox: undefined, containers: new Map() });
    assert.ok(made.needsSandbox);
    assert.equal(told(made), ['start:a#0', 'start:b#0']);
  });

  const cases: readonly (readonly [
    string,
    Partial<PodSpec>,
    Parameters<typeof viewOf>[0],
    readonly string[],
  ])[] = [
    ['running containers are left alone', two, { a: 'running', b: 'running' }, []],
    ['one that is missing is started', two, { a: 'running' }, ['start:b#0']],
    ['one that was only created is started', {}, { a: 'created' }, ['resume:a']],
    ['one that ended is restarted', {}, { a: [0] }, ['start:a#1']],
    ['its attempt counts on', {}, { a: [1, 1, 1] }, ['start:a#3']],
    [
      'OnFailure restarts a failure only',
      { ...two, restartPolicy: 'OnFailure' },
      { a: 1, b: 0 },
      ['start:a#1'],
    ],
    ['Never restarts nothing', { ...two, restartPolicy: 'Never' }, { a: 1, b: 'running' }, []],
    ['the first init container goes first', inits, {}, ['start:i#0']],
    ['the second waits for the first', inits, { i: 'running' }, []],
    ['the second follows the first', inits, { i: 0 }, ['start:j#0']],
    ['the main ones follow the last', inits, { i: 0, j: 0 }, ['start:a#0']],
    ['an init container that failed is tried again', inits, { i: 2 }, ['start:i#1']],
    ['init containers do not run again beside main ones', inits, { a: 'running' }, []],
    ['a sidecar runs before the main ones', { initContainers: [sidecar] }, {}, ['start:s#0']],
    [
      'a started sidecar lets the main ones run',
      { initContainers: [sidecar] },
      { s: 'running' },
      ['start:a#0'],
    ],
    [
      'a sidecar that ended is restarted beside them',
      { initContainers: [sidecar] },
      { s: 1, a: 'running' },
      ['start:s#1'],
    ],
    [
      'a sidecar is restarted whatever the pod says',
      { initContainers: [sidecar], restartPolicy: 'Never' },
      { s: 0, a: 'running' },
      ['start:s#1'],
    ],
  ];
  for (const [title, spec, states, expected] of cases) {
    test(title, () => assert.equal(told(plan(spec, viewOf(states))), expected));
  }

  test('a sidecar that has not passed its startup probe holds the main ones back', () => {
    const made = plan({ initContainers: [sidecar] }, viewOf({ s: 'running' }), {
      isStarted: () => false,
    });
    assert.equal(told(made), []);
  });

  test('rules for exit codes come before the policy of container and pod', () => {
    const rule = (operator: string, values: readonly number[], action = 'Restart') => ({
      containers: [
        container('a', {
          restartPolicy: 'Never',
          restartPolicyRules: [{ action, exitCodes: { operator, values } }],
        }),
      ],
    });
    assert.equal(told(plan(rule('In', [42]), viewOf({ a: 42 }))), ['start:a#1']);
    assert.equal(told(plan(rule('In', [42]), viewOf({ a: 1 }))), []);
    assert.equal(told(plan(rule('NotIn', [0, 1]), viewOf({ a: 42 }))), ['start:a#1']);
    assert.ok(plan(rule('NotIn', [0, 1]), viewOf({ a: 1 })).isFinished);
    assert.equal(told(plan(rule('In', [42], 'RestartAllContainers'), viewOf({ a: 42 }))), [
      'start:a#1',
    ]);
  });

  test('a rule that restarts all: what runs ends, then everything begins again from the first', () => {
    const exitCodes = { operator: 'In', values: [42] };
    const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes }];
    const spec = {
      restartPolicy: 'Never',
      initContainers: [container('i'), sidecar],
      containers: [container('a', { restartPolicy: 'Never', restartPolicyRules }), container('b')],
    };
    const first = plan(spec, viewOf({ i: 0, s: 'running', a: 42, b: 'running' }));
    assert.equal(told(first), ['kill:s', 'kill:b']);
    assert.ok(first.actions.every((action) => action.kind === 'kill' && action.isHard));
    const second = plan(spec, viewOf({ i: 0, s: 143, a: 42, b: 143 }));
    assert.equal(told(second), ['start:i#1']);
    const [action] = second.actions;
    assert.is(action?.kind === 'start' && action.epoch, 1);
    const states = viewOf({ i: [0, 0], s: 143, a: 42, b: 143 });
    const [again, before] = states.containers.get('i') ?? [];
    const records = again && before ? [{ ...again, epoch: 1 }, before] : [];
    const third = { ...states, containers: new Map([...states.containers, ['i', records]]) };
    assert.equal(told(plan(spec, third)), ['start:s#1']);
  });

  test('ephemeral containers run once, at whatever stage the pod is', () => {
    const spec = { ...inits, ephemeralContainers: [{ name: 'd', image: 'i' }] };
    assert.equal(told(plan(spec, viewOf({ i: 'running' }))), ['start:d#0']);
    assert.equal(told(plan(spec, viewOf({ i: 'running', d: 1 }))), []);
    const statuses = [{ name: 'd', ready: false, restartCount: 0, image: 'i', imageID: 'x' }];
    const pod = podOf(spec);
    const ran = { ephemeralContainerStatuses: [{ ...statuses[0], containerID: 'mini://1' }] };
    const after = { ...pod, status: ran } as Pod;
    assert.equal(told(plan(spec, viewOf({ i: 'running' }), { pod: after })), []);
    assert.ok(plan({ ...spec, restartPolicy: 'Never' }, viewOf({ i: 2, d: 'running' })).isFinished);
  });

  test('a pod has finished when all its containers have ended for good, sidecars or not', () => {
    const spec = { ...two, restartPolicy: 'Never', initContainers: [sidecar] };
    assert.ok(plan(spec, viewOf({ a: 0, b: 1, s: 'running' })).isFinished);
    assert.not(plan(spec, viewOf({ a: 0, b: 'running', s: 'running' })).isFinished);
    assert.ok(plan({ ...inits, restartPolicy: 'Never' }, viewOf({ i: 1 })).isFinished);
    assert.not(plan({}, viewOf({ a: 0 })).isFinished);
  });

  test('a changed image and a failed probe kill the container', () => {
    const changed = { containers: [container('a', { image: 'other' })] };
    assert.equal(told(plan(changed, viewOf({ a: 'running' }))), ['kill:a']);
    assert.equal(
      told(plan({}, viewOf({ a: 'running' }), { unhealthy: () => ({ why: 'ill', probe: {} }) })),
      ['kill:a'],
    );
  });

  test('a hold keeps a container waiting and says until when', () => {
    const waiting = { reason: 'CrashLoopBackOff' };
    const made = plan(two, viewOf({ a: 1, b: 'running' }), {
      hold: () => ({ waiting, untilMs: 99 }),
    });
    assert.equal(told(made), []);
    assert.equal(made.waiting.get('a'), waiting);
    assert.is(made.wakeAtMs, 99);
  });

  test('after the host was restarted the count goes on from the status', () => {
    const statuses = [
      {
        name: 'a',
        ready: true,
        restartCount: 4,
        image: 'i',
        imageID: 'x',
        containerID: 'mini://1',
      },
    ];
    const pod = { ...podOf({}), status: { containerStatuses: statuses } };
    const view = { sandbox: undefined, containers: new Map() };
    const made = decide({
      activeMs: 0,
      pod,
      view,
      hold: () => undefined,
      unhealthy: () => undefined,
      isStarted: () => true,
    });
    assert.equal(told(made), ['start:a#5']);
  });

  test('a pod past its deadline has failed, whatever runs', () => {
    const spec = { activeDeadlineSeconds: 60, containers: [container('a')] };
    const at = (activeMs: number) => plan(spec, viewOf({ a: 'running' }), { activeMs });
    assert.is(at(59_999).isFinished, false);
    assert.is(at(60_000).isFinished, true);
    assert.is(at(60_000).failure?.reason, 'DeadlineExceeded');
  });

  test('of a pod that this node does not support nothing is started, and every container says why', () => {
    const refused = plan({}, viewOf({}), { refusal: 'no such thing here' });
    assert.is(refused.needsSandbox, false);
    assert.equal(told(refused), []);
    assert.equal(refused.waiting.get('a'), {
      reason: 'CreateContainerConfigError',
      message: 'no such thing here',
    });
  });
});
