/** Expansion, back-off, resources and resolver files. */

import * as assert from 'uvu/assert';
import { CrashBackoff } from '../../../../pkg/agent/pod/crash-backoff.ts';
import { expand } from '../../../../pkg/agent/pod/expand.ts';
import { goDuration } from '../../../../pkg/agent/pod/holds.ts';
import { resolvConf } from '../../../../pkg/agent/pod/resolv-conf.ts';
import {
  cgroupParent,
  containerResources,
  oomScoreAdj,
  podResources,
} from '../../../../pkg/agent/pod/resources.ts';
import type { Container, Pod, PodSpec } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

function podOf(spec: Partial<PodSpec>): Pod {
  const metadata = {
    name: 'p',
    namespace: 'ns',
    uid: 'uid-1',
    resourceVersion: '1',
    creationTimestamp: '',
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec } };
}

function using(requests: Record<string, string>, limits: Record<string, string>): Container {
  return { name: 'c', resources: { requests, limits } };
}

suite('agent: text and numbers of a pod', ({ test }) => {
  const variables = new Map([
    ['A', '1'],
    ['B', '$(A)'],
  ]);
  for (const [text, expected] of [
    ['$(A)', '1'],
    ['x$(A)y$(B)', 'x1y$(A)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$(NONE)', '$(NONE)'],
    ['$(A', '$(A'],
    ['$A $', '$A $'],
  ] as const) {
    test(`expands ${text} to ${expected}`, () => assert.is(expand(text, variables), expected));
  }

  test('crash back-off is 0, 10, 20 … 300 seconds, and forgotten after ten good minutes', () => {
    const backoff = new CrashBackoff();
    assert.is(backoff.until('c', 0), undefined);
    const delays: number[] = [];
    let nowMs = 0;
    for (let run = 0; run < 7; run += 1) {
      backoff.count('c', nowMs);
      const wait = backoff.until('c', nowMs);
      delays.push((wait?.delayMs ?? 0) / 1000);
      nowMs = wait?.atMs ?? 0;
    }
    assert.equal(delays, [10, 20, 40, 80, 160, 300, 300]);
    assert.is(backoff.until('c', nowMs + 600_001), undefined);
  });

  test('durations read as Go prints them', () => {
    assert.equal([10, 60, 80, 300].map(goDuration), ['10s', '1m0s', '1m20s', '5m0s']);
  });

  test('quality of service, shares, quota and out-of-memory score follow the resources', () => {
    const guaranteed = podOf({ containers: [using({}, { cpu: '1', memory: '1Gi' })] });
    const burstable = podOf({ containers: [using({ cpu: '250m', memory: '1Gi' }, {})] });
    const none = podOf({ containers: [{ name: 'c' }] });
    const scores = [guaranteed, burstable, none].map((pod) =>
      oomScoreAdj(pod, pod.spec.containers[0] ?? { name: '' }, 4 * 2 ** 30),
    );
    assert.equal(scores, [-997, 750, 1000]);
    assert.is(cgroupParent('/mini', guaranteed), '/mini/poduid-1');
    assert.is(cgroupParent('/mini', burstable), '/mini/burstable/poduid-1');
    const limited = using({ cpu: '250m' }, { cpu: '1500m', memory: '10Mi' });
    assert.equal(containerResources(podOf({ containers: [limited] }), limited), {
      cpuShares: 256,
      cpuQuotaUs: 150_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 10_485_760,
      maySwap: false,
    });
    assert.equal(containerResources(podOf({}), { name: 'c' }), { cpuShares: 2, maySwap: false });
  });

  test('a pod has limits of its own where every container has one, or the pod itself', () => {
    const limited = using({ cpu: '250m' }, { cpu: '500m', memory: '10Mi' });
    const open = using({ cpu: '100m' }, { memory: '20Mi' });
    assert.equal(podResources(podOf({ containers: [limited, limited] }), 9), {
      cpuShares: 512,
      cpuQuotaUs: 100_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 20 * 2 ** 20,
      pidsLimit: 9,
    });
    const overhead = { cpu: '150m', memory: '1Mi' };
    assert.equal(podResources(podOf({ containers: [limited, open], overhead }), undefined), {
      cpuShares: 512,
      memoryLimitBytes: 31 * 2 ** 20,
    });
    const whole = { requests: { cpu: '1' }, limits: { cpu: '2', memory: '64Mi' } };
    const pod = podOf({ containers: [{ name: 'c' }], resources: whole });
    assert.equal(podResources(pod, undefined), {
      cpuShares: 1024,
      cpuQuotaUs: 200_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 64 * 2 ** 20,
    });
    assert.is(containerResources(pod, { name: 'c' }).memoryLimitBytes, 64 * 2 ** 20);
    assert.equal(podResources(podOf({ containers: [{ name: 'c' }] }), undefined), { cpuShares: 2 });
  });

  test('a pod has the huge pages of its containers together, or its own', () => {
    const pages = (limit: string) => using({}, { 'hugepages-2Mi': limit, 'hugepages-1Gi': '1Gi' });
    const containers = [pages('4Mi'), pages('6Mi')];
    const initContainers = [using({}, { 'hugepages-2Mi': '2Mi' })];
    const hugePages = { '2MB': 12 * 2 ** 20, '1GB': 2 * 2 ** 30 };
    const pod = podOf({ containers, initContainers });
    assert.equal(podResources(pod, undefined).hugePages, hugePages);
    const limits = { 'hugepages-2Mi': '8Mi' };
    const own = podOf({ containers, resources: { limits } });
    assert.equal(podResources(own, undefined).hugePages, { '2MB': 8 * 2 ** 20 });
  });

  test('resolv.conf follows dnsPolicy and dnsConfig', () => {
    const dns = { clusterDns: ['10.43.0.10'], clusterDomain: 'cluster.local', hostResolver: '' };
    const host = 'nameserver 192.0.2.53\nsearch example.org\noptions edns0\n';
    const cluster =
      'search ns.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.43.0.10\noptions ndots:5\n';
    const own = 'search example.org\nnameserver 192.0.2.53\noptions edns0\n';
    assert.is(resolvConf(podOf({}), dns, { hostFile: host, warn: () => undefined }), cluster);
    assert.is(
      resolvConf(podOf({ hostNetwork: true }), dns, { hostFile: host, warn: () => undefined }),
      own,
    );
    assert.is(
      resolvConf(podOf({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), dns, {
        hostFile: host,
        warn: () => undefined,
      }),
      cluster,
    );
    assert.is(
      resolvConf(podOf({ dnsPolicy: 'Default' }), dns, { hostFile: host, warn: () => undefined }),
      own,
    );
    assert.is(
      resolvConf(podOf({}), { ...dns, clusterDns: [] }, { hostFile: host, warn: () => undefined }),
      own,
    );
    const dnsConfig = {
      nameservers: ['192.0.2.1'],
      searches: ['a.b'],
      options: [{ name: 'ndots', value: '2' }],
    };
    assert.is(
      resolvConf(podOf({ dnsPolicy: 'None', dnsConfig }), dns, {
        hostFile: host,
        warn: () => undefined,
      }),
      'search a.b\nnameserver 192.0.2.1\noptions ndots:2\n',
    );
    assert.match(
      resolvConf(podOf({ dnsConfig }), dns, { hostFile: host, warn: () => undefined }),
      /options ndots:2\n$/,
    );
  });
});
