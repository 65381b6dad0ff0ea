/** How requests about a pod go on to its node. */

import * as assert from 'uvu/assert';
import type { Pod } from '../../../pkg/api/generated/types.ts';
import { podPath } from '../../../pkg/apiserver/pod-node.ts';
import { suite } from '../../harness/suite.ts';

const POD: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { nodeName: 'one', containers: [{ name: 'c' }] },
};

suite('requests to a node', ({ test }) => {
  test('a switch is on as Kubernetes reads it: python writes True, others 1', () => {
    const path = (subresource: string, query: string) =>
      podPath(POD, subresource, new URLSearchParams(query)).path;
    assert.is(
      path('log', 'follow=True&previous=FALSE&timestamps=1&tailLines=2'),
      '/containerLogs/n/p/c?follow=true&previous=false&timestamps=true&tailLines=2',
    );
    assert.is(
      path('exec', 'stdin=True&tty=True&stdout=0&command=sh'),
      '/exec/n/p/c?stdin=true&input=1&stdout=false&tty=true&command=sh&podUID=u',
    );
  });
});
