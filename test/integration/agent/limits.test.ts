/** What ends a pod or keeps it from starting, whatever its containers do: deadlines and fields without support. */

import * as assert from 'uvu/assert';
import type { Node, Pod } from '../../../pkg/api/generated/types.ts';
import { suite } from '../../harness/suite.ts';
import { startTestNode } from './test-node.ts';

const isRunning = ({ status }: Pod) => status?.phase === 'Running';
const first = ({ status }: Pod) => status?.containerStatuses?.[0];

suite('agent: deadlines and refusals', ({ test, cleanup }) => {
  const start = async () => {
    const node = await startTestNode();
    cleanup(() => node.close());
    return node;
  };
  type Started = Awaited<ReturnType<typeof start>>;
  const eventOf = async (node: Started, pod: string, reason: string) => {
    await node.podWhen(pod, () => true);
    for (let tries = 0; tries < 100; tries += 1) {
      const found = (await node.events(pod)).find((event) => event.reason === reason);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no ${reason} event of ${pod}`);
  };

  test('a pod past its deadline is stopped and has failed', async () => {
    const node = await start();
    await node.createPod('late', { spec: { activeDeadlineSeconds: 1 } });
    const pod = await node.podWhen('late', ({ status }) => status?.phase === 'Failed');
    assert.is(pod.status?.reason, 'DeadlineExceeded');
    assert.match(pod.status?.message ?? '', /active on the node longer than/);
    assert.is(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 143);
    await node.podWhen('late', () => node.engine.listSandboxes().length === 0);
    await eventOf(node, 'late', 'DeadlineExceeded');
  });

  test('the deadline holds for a pod whose image cannot be had', async () => {
    const node = await start();
    await node.createPod('never', {
      containers: [{ image: 'missing:1' }],
      spec: { activeDeadlineSeconds: 1 },
    });
    const pod = await node.podWhen('never', ({ status }) => status?.phase === 'Failed');
    assert.is(pod.status?.reason, 'DeadlineExceeded');
  });

  test('a pod that does not fit its node is refused, and counts for nothing', async () => {
    const node = await start();
    const requests = { cpu: '100k' };
    await node.createPod('large', { containers: [{ resources: { requests } }] });
    const large = await node.podWhen('large', ({ status }) => status?.phase === 'Failed');
    assert.is(large.status?.reason, 'OutOfcpu');
    assert.is(large.status?.containerStatuses, undefined);
    assert.match(
      large.status?.message ?? '',
      /^Pod was rejected: Node didn't have enough resource: cpu, requested: 100000000, used: 0, /,
    );
    await eventOf(node, 'large', 'OutOfcpu');
    await node.createPod('elsewhere', { spec: { nodeSelector: { zone: 'b' } } });
    const other = await node.podWhen('elsewhere', ({ status }) => status?.phase === 'Failed');
    assert.is(other.status?.reason, 'NodeAffinity');
    assert.equal(node.engine.listSandboxes(), []);
    await node.createPod('here', { spec: { nodeSelector: { zone: 'a' } } });
    await node.podWhen('here', isRunning);
  });

  test('when the host goes down, pods end by priority and new ones are refused', async () => {
    const node = await start();
    await node.createPod('high', { spec: { priority: 1000 } });
    await node.createPod('low');
    const running = await Promise.all(['low', 'high'].map((name) => node.podWhen(name, isRunning)));
    const ids = running.map((pod) => first(pod)?.containerID?.replace('mini://', ''));
    await node.agent().shutDown([
      { priority: 1000, graceSeconds: 7 },
      { priority: 0, graceSeconds: 5 },
    ]);
    assert.equal(node.engine.stops, [
      { id: ids[0], graceMs: 5000 },
      { id: ids[1], graceMs: 7000 },
    ]);
    for (const name of ['low', 'high']) {
      const { status } = await node.podWhen(name, (one) => one.status?.phase === 'Failed');
      assert.is(status?.reason, 'Terminated');
      assert.is(status?.message, 'Pod was terminated in response to imminent node shutdown.');
      const target = status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
      assert.equal([target?.status, target?.reason], ['True', 'TerminationByKubelet']);
    }
    await node.createPod('late');
    const late = await node.podWhen('late', ({ status }) => status?.phase === 'Failed');
    assert.is(late.status?.reason, 'NodeShutdown');
    assert.match(late.status?.message ?? '', /rejected as the node is shutting down/);
    const { status } = await node.client.get<Node>('nodes', { name: 'node-1' });
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    assert.equal(
      [ready?.status, ready?.reason, ready?.message],
      ['False', 'KubeletNotReady', 'node is shutting down'],
    );
  });

  test('a pod that asks for what the node lacks waits and names the field', async () => {
    const node = await start();
    await node.createPod('ports', {
      containers: [{ resources: { claims: [{ name: 'gpu' }] } }, {}],
    });
    const pod = await node.podWhen(
      'ports',
      ({ status }) => status?.containerStatuses?.[1]?.state?.waiting?.message !== undefined,
    );
    assert.is(pod.status?.phase, 'Pending');
    const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting;
    assert.is(waiting?.reason, 'CreateContainerConfigError');
    assert.match(waiting?.message ?? '', /container "c0" resources.claims is not supported/);
    const { message } = await eventOf(node, 'ports', 'FailedValidation');
    assert.is(message, waiting?.message);
    assert.equal(node.engine.listSandboxes(), []);
    await node.client.remove('pods', { namespace: 'default', name: 'ports' });
    await node.goneWhen('ports');
  });

  test('a pod that may not run here has failed, and nothing was made for it', async () => {
    const node = await start();
    const sysctls = [{ name: 'kernel.msgmax', value: '1' }];
    await node.createPod('unsafe', { spec: { securityContext: { sysctls } } });
    const pod = await node.podWhen('unsafe', ({ status }) => status?.phase === 'Failed');
    assert.is(pod.status?.reason, 'SysctlForbidden');
    assert.match(pod.status?.message ?? '', /"kernel.msgmax" not allowlisted/);
    await eventOf(node, 'unsafe', 'SysctlForbidden');
    assert.equal(node.engine.listSandboxes(), []);
  });

  test('an ephemeral container runs once, beside the process of its target', async () => {
    const node = await start();
    await node.createPod('debugged');
    const running = await node.podWhen('debugged', isRunning);
    const ephemeralContainers = [{ name: 'debugger', image: 'known:1', targetContainerName: 'c0' }];
    await node.client.patch(
      'pods',
      { namespace: 'default', name: 'debugged' },
      { spec: { ephemeralContainers } },
      { type: 'strategic', subresource: 'ephemeralcontainers' },
    );
    const ephemeral = ({ status }: Pod) => status?.ephemeralContainerStatuses?.[0];
    const pod = await node.podWhen(
      'debugged',
      (one) => ephemeral(one)?.state?.running !== undefined,
    );
    assert.equal([ephemeral(pod)?.ready, ephemeral(pod)?.started], [false, undefined]);
    assert.equal(pod.status?.containerStatuses, running.status?.containerStatuses);
    const id = ephemeral(pod)?.containerID?.replace('mini://', '') ?? '';
    const target = first(pod)?.containerID?.replace('mini://', '');
    assert.is(node.engine.configs.get(id)?.security.pidOfContainer, target);
    node.engine.exit(id, 1);
    await node.podWhen('debugged', (one) => ephemeral(one)?.state?.terminated?.exitCode === 1);
    node.engine.exit(target ?? '', 1);
    const later = await node.podWhen('debugged', (one) => first(one)?.restartCount === 1);
    assert.is(ephemeral(later)?.state?.terminated?.exitCode, 1);
    assert.is(ephemeral(later)?.restartCount, 0);
    await node.restart();
    const lost = [
      { name: 'debugger', image: 'known:1', targetContainerName: 'c0' },
      { name: 'lost', image: 'nosuch:1', imagePullPolicy: 'Never' },
    ];
    await node.client.patch(
      'pods',
      { namespace: 'default', name: 'debugged' },
      { spec: { ephemeralContainers: lost } },
      { type: 'strategic', subresource: 'ephemeralcontainers' },
    );
    const waiting = ({ status }: Pod) =>
      status?.ephemeralContainerStatuses?.[1]?.state?.waiting?.reason;
    await node.podWhen('debugged', (one) => waiting(one) === 'ErrImageNeverPull');
    assert.is(ephemeral(await node.podWhen('debugged', isRunning))?.restartCount, 0);
  });

  test('a rule restarts all containers of a pod, init containers first, without hooks', async () => {
    const node = await start();
    const exitCodes = { operator: 'In', values: [42] };
    const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes }];
    const lifecycle = { preStop: { exec: { command: ['never'] } } };
    let hooks = 0;
    node.engine.onExec = (_options, session) => {
      hooks += 1;
      session.exit(0);
    };
    await node.createPod('together', {
      containers: [{ restartPolicy: 'Never', restartPolicyRules }, { lifecycle }],
      spec: {
        restartPolicy: 'Never',
        initContainers: [{ name: 'i', image: 'known:1', command: ['exit', '0'] }],
      },
    });
    const pod = await node.podWhen('together', isRunning);
    node.engine.exit(first(pod)?.containerID?.replace('mini://', '') ?? '', 42);
    const counts = ({ status }: Pod) =>
      [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].map(
        ({ restartCount }) => restartCount,
      );
    const after = await node.podWhen(
      'together',
      (one) => isRunning(one) && counts(one).every((count) => count === 1),
    );
    assert.equal(counts(after), [1, 1, 1]);
    assert.is(hooks, 0);
    await node.restart();
    assert.equal(counts(await node.podWhen('together', isRunning)), [1, 1, 1]);
  });
});
