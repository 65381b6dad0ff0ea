/** Which pods a drain takes, leaves, and is forbidden to take; what an edit sends. */

import * as assert from 'uvu/assert';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { choosePods } from '../../../pkg/kubectl/drain-pods.ts';
import { difference } from '../../../pkg/kubectl/verbs/edit.ts';
import { suite } from '../../harness/suite.ts';

const STRICT = {
  isForced: false,
  ignoresDaemonSets: false,
  deletesEmptyDir: false,
  hasDaemonSet: async (_namespace: string, name: string) => name === 'agents',
};

function pod(name: string, parts: { owner?: string; phase?: string; local?: boolean } = {}): Pod {
  const [kind, owner] = (parts.owner ?? '').split('/');
  const controller = { apiVersion: 'apps/v1', kind: kind ?? '', name: owner ?? '', uid: 'u' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      ...(parts.owner ? { ownerReferences: [{ ...controller, controller: true }] } : {}),
    },
    spec: {
      containers: [{ name: 'c' }],
      ...(parts.local ? { volumes: [{ name: 'v', emptyDir: {} }] } : {}),
    },
    status: { phase: parts.phase ?? 'Running' },
  } as unknown as Pod;
}

const ALL = [
  pod('managed', { owner: 'ReplicaSet/web' }),
  pod('local', { owner: 'ReplicaSet/web', local: true }),
  pod('lone'),
  pod('done', { phase: 'Succeeded', local: true }),
  pod('daemon', { owner: 'DaemonSet/agents' }),
  pod('orphan', { owner: 'DaemonSet/gone' }),
];

const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name);

suite('drain and edit', ({ test }) => {
  test('without flags names everything that is in the way', async () => {
    const { pods, errors } = await choosePods(ALL, STRICT);
    assert.equal(names(pods), ['managed', 'done']);
    assert.is(
      errors,
      '[cannot delete Pods with local storage (use --delete-emptydir-data to override): default/local, cannot delete cannot delete Pods that declare no controller (use --force to override): default/lone, cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/daemon, daemonsets.apps "gone" not found: default/orphan]',
    );
  });

  test('with them takes all but those of daemon sets, and warns', async () => {
    const { pods, errors, warning } = await choosePods(ALL, {
      ...STRICT,
      isForced: true,
      ignoresDaemonSets: true,
      deletesEmptyDir: true,
    });
    assert.is(errors, '');
    assert.equal(names(pods), ['managed', 'local', 'lone', 'done', 'orphan']);
    assert.match(warning, 'deleting Pods that declare no controller: default/lone');
    assert.match(warning, 'ignoring DaemonSet-managed Pods: default/daemon');
  });

  test('a mirror of a static pod stays', async () => {
    const mirror = pod('static');
    const annotations = { 'kubernetes.io/config.mirror': 'x' };
    const { pods } = await choosePods(
      [{ ...mirror, metadata: { ...mirror.metadata, annotations } }],
      STRICT,
    );
    assert.equal(pods, []);
  });

  test('the difference of two objects is a merge patch', () => {
    const from = { a: 1, b: { c: [1, 2], d: 'x' }, e: 'gone' };
    assert.is(difference(from, structuredClone(from)), undefined);
    assert.equal(difference(from, { a: 1, b: { c: [1], d: 'x', f: {} } }), {
      b: { c: [1], f: {} },
      e: null,
    });
  });
});
