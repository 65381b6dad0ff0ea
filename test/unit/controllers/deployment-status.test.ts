import * as assert from 'uvu/assert';
import type { Deployment, DeploymentStatus, ReplicaSet } from '../../../pkg/api/generated/types.ts';
import {
  currentOf,
  forgotten,
  refreshed,
  templateHash,
} from '../../../pkg/controllers/deployment-revision.ts';
import { deadlineInMs, deploymentStatus } from '../../../pkg/controllers/deployment-status.ts';
import { suite } from '../../harness/suite.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const METADATA = {
  name: 'web',
  uid: 'd',
  resourceVersion: '1',
  generation: 2,
  creationTimestamp: '2026-01-01T00:00:00Z',
};
const TEMPLATE = {
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'a', image: 'b' }] },
};

function deployment(status: DeploymentStatus = {}): Deployment {
  const spec = {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: TEMPLATE,
    progressDeadlineSeconds: 60,
  };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: METADATA, spec, status };
}

function set(name: string, replicas: number, image = 'b', revision = 1): ReplicaSet {
  const labels = { app: 'web', 'pod-template-hash': name };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { 'deployment.kubernetes.io/revision': String(revision) },
    },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'a', image }] } },
    },
    status: {
      replicas,
      readyReplicas: replicas,
      availableReplicas: replicas,
      observedGeneration: 1,
    },
  };
}

const reasons = (status: DeploymentStatus) =>
  Object.fromEntries(
    (status.conditions ?? []).map(({ type, status: is, reason }) => [type, `${is} ${reason}`]),
  );

suite('deployment-status', ({ test }) => {
  test('is complete when all pods are new and available', () => {
    const status = deploymentStatus({
      deployment: deployment(),
      current: set('new', 2),
      old: [],
      now: NOW,
    });
    assert.is(status.updatedReplicas, 2);
    assert.is(status.observedGeneration, 2);
    assert.is(status.unavailableReplicas, undefined);
    assert.equal(reasons(status), {
      Available: 'True MinimumReplicasAvailable',
      Progressing: 'True NewReplicaSetAvailable',
    });
  });

  test('progresses while counts grow, then times out after the deadline', () => {
    const current = { ...set('new', 2), status: { replicas: 2 } };
    const first = deploymentStatus({ deployment: deployment(), current, old: [], now: NOW });
    assert.equal(reasons(first), {
      Available: 'False MinimumReplicasUnavailable',
      Progressing: 'True ReplicaSetUpdated',
    });
    const progressing = first.conditions?.find(({ type }) => type === 'Progressing');
    assert.is(deadlineInMs(deployment(first), NOW, progressing), 60_000);
    const late = deploymentStatus({
      deployment: deployment(first),
      current,
      old: [],
      now: NOW + 61_000,
    });
    assert.is(reasons(late)['Progressing'], 'False ProgressDeadlineExceeded');
    assert.is(
      late.conditions?.find(({ type }) => type === 'Progressing')?.message,
      'ReplicaSet "new" has timed out progressing.',
    );
  });

  test('finds the ReplicaSet of the template, whatever its hash label', () => {
    const old = set('old', 1, 'other');
    const current = set('new', 1);
    assert.is(currentOf(deployment(), [old, current]), current);
    assert.is(currentOf(deployment(), [old]), undefined);
  });

  test('hashes a template by its content, the hash label and order of fields aside', () => {
    const { metadata, spec } = TEMPLATE;
    const labelled = {
      spec,
      metadata: { labels: { 'pod-template-hash': 'x', ...metadata.labels } },
    };
    assert.is(templateHash(TEMPLATE), templateHash(labelled));
    assert.is.not(templateHash(TEMPLATE), templateHash(TEMPLATE, 1));
    assert.match(templateHash(TEMPLATE), /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
  });

  test('keeps the revisions that a ReplicaSet had before', () => {
    const next = refreshed(deployment(), set('new', 1), 5);
    assert.is(next.metadata.annotations?.['deployment.kubernetes.io/revision'], '5');
    assert.is(next.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
    assert.is(refreshed(deployment(), next, 5), next);
  });

  test('forgets the oldest revisions over the limit, but none with pods', () => {
    const base = deployment();
    const limited = { ...base, spec: { ...base.spec, revisionHistoryLimit: 1 } };
    const old = [set('c', 0, 'c', 3), set('a', 1, 'a', 1), set('b', 0, 'b', 2)];
    assert.equal(
      forgotten(limited, old).map(({ metadata }) => metadata.name),
      ['b'],
    );
    assert.equal(forgotten(base, old), []);
  });
});
