/** Settings of the node as the kubelet names them, and what pods may have of a host. */

import * as assert from 'uvu/assert';
import type { HostInfo } from '../../../../pkg/agent/node/host.ts';
import { checkThresholds, parseKubeletArgs } from '../../../../pkg/agent/node/kubelet-args.ts';
import { KubeletArgError } from '../../../../pkg/agent/node/kubelet-values.ts';
import { allocatableOf, capacityOf, podsCgroup } from '../../../../pkg/agent/node/reservations.ts';
import { suite } from '../../../harness/suite.ts';

const GIB = 2 ** 30;
const HOST: HostInfo = {
  cpus: 4,
  memoryBytes: 8 * GIB,
  storageBytes: 100 * GIB,
  pids: 32_768,
  machineId: '',
  systemUuid: '',
  bootId: '',
  kernelVersion: '',
  osImage: '',
  architecture: 'amd64',
};

function refusal(...args: readonly string[]): string {
  try {
    checkThresholds(parseKubeletArgs(args));
  } catch (error) {
    assert.instance(error, KubeletArgError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('Nothing was refused');
}

suite('kubelet-arg', ({ test }) => {
  test('reads amounts, shares and durations; the last of a name wins', () => {
    const limits = parseKubeletArgs([
      'max-pods=7',
      'max-pods=9',
      'pod-max-pids=-1',
      '--kube-reserved=cpu=200m,memory=1Gi,ephemeral-storage=2Gi,pid=100',
      'eviction-hard=memory.available<500Mi,nodefs.available<12.5%',
      'eviction-soft=memory.available<1Gi',
      'eviction-soft-grace-period=memory.available=1m30s',
      'eviction-minimum-reclaim=nodefs.available=1Gi',
      'eviction-max-pod-grace-period=20',
      'eviction-pressure-transition-period=500ms',
      'image-gc-high-threshold=70',
      'image-gc-low-threshold=60',
      'minimum-image-ttl-duration=1m',
      'image-maximum-gc-age=24h',
      'serialize-image-pulls=false',
      'max-parallel-image-pulls=4',
      'container-log-max-size=5Mi',
      'container-log-max-files=3',
      'resolv-conf=/run/resolv.conf',
      'allowed-unsafe-sysctls=net.core.somaxconn,kernel/msg*',
      'cgroup-driver=cgroupfs',
      'fail-swap-on=false',
    ]);
    checkThresholds(limits);
    assert.equal(limits, {
      maxPods: 9,
      podPidsLimit: undefined,
      kubeReserved: { cpu: 200, memory: GIB, 'ephemeral-storage': 2 * GIB, pid: 100 },
      systemReserved: { cpu: 0, memory: 0, 'ephemeral-storage': 0, pid: 0 },
      hard: [
        { signal: 'memory.available', below: { quantity: '500Mi' }, graceMs: 0 },
        { signal: 'nodefs.available', below: { share: 0.125 }, graceMs: 0 },
      ],
      soft: [{ signal: 'memory.available', below: { quantity: '1Gi' }, graceMs: 90_000 }],
      minimumReclaim: new Map([['nodefs.available', { quantity: '1Gi' }]]),
      maxPodGraceSeconds: 20,
      pressureTransitionMs: 500,
      imageGc: { highPercent: 70, lowPercent: 60, minAgeMs: 60_000, maxAgeMs: 86_400_000 },
      parallelPulls: 4,
      containerLogs: { maxBytes: 5 * 1024 * 1024, maxFiles: 3 },
      resolvConf: '/run/resolv.conf',
      unsafeSysctls: ['net.core.somaxconn', 'kernel.msg*'],
    });
  });

  test('says what is wrong with a setting', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      [
        'feature-gates=X=true',
        /^mini has no setting feature-gates of the kubelet; it has max-pods,/,
      ],
      ['max-pods', /^it must be name=value/],
      ['container-log-max-files=1', /^container-log-max-files: it must be a whole number from 2/],
      ['container-log-max-size=1', /^container-log-max-size: it must be at least 4Ki/],
      [
        'allowed-unsafe-sysctls=vm.swappiness',
        /"vm.swappiness" is not a sysctl that a pod can have/,
      ],
      ['resolv-conf=x', /^resolv-conf: it must be an absolute path, or empty/],
      ['cgroup-driver=systemd', /^cgroup-driver: it is cgroupfs in mini and cannot be changed/],
      ['node-labels=a=b', /^node-labels is a flag of its own in mini: give --node-label instead/],
      ['image-gc-high-threshold=101', /^image-gc-high-threshold: it must be from 0 to 100/],
      ['serialize-image-pulls=maybe', /^serialize-image-pulls: it must be true or false/],
      ['max-parallel-image-pulls=0', /^max-parallel-image-pulls: it must be a whole number from 1/],
      ['max-pods=many', /^max-pods: it must be a whole number from 0/],
      ['kube-reserved=gpu=1', /^kube-reserved: "gpu" cannot be reserved/],
      ['kube-reserved=cpu=-1', /^kube-reserved: "-1" is negative/],
      ['system-reserved=memory=1Zi', /^system-reserved: /],
      ['eviction-hard=memory.free<1Gi', /^eviction-hard: "memory.free" is no eviction signal/],
      ['eviction-hard=memory.available=1Gi', /must be name<value/],
      ['eviction-hard=nodefs.available<200%', /must be from 0% to 100%/],
      ['eviction-soft=memory.available<1Gi', /needs a grace period: eviction-soft-grace-period=/],
      ['eviction-soft-grace-period=memory.available=soon', /must be a duration such as 1m30s/],
    ];
    for (const [arg, message] of cases) assert.match(refusal(arg), message);
  });

  test('what is reserved or kept free is not allocatable, and out of reach of the pods', () => {
    const limits = parseKubeletArgs([
      'max-pods=42',
      'kube-reserved=cpu=200m,memory=1Gi,ephemeral-storage=10Gi',
      'system-reserved=cpu=300m,memory=512Mi,pid=1000',
      'eviction-hard=memory.available<512Mi,nodefs.available<10%',
    ]);
    assert.is(capacityOf(limits, HOST)['memory'], '8388608Ki');
    assert.equal(allocatableOf(limits, HOST), {
      cpu: '3500m',
      memory: `${6 * 1024 * 1024}Ki`,
      'ephemeral-storage': `${80 * 1024 * 1024}Ki`,
      pods: '42',
      'hugepages-1Gi': '0',
      'hugepages-2Mi': '0',
    });
    assert.equal(podsCgroup(limits, HOST), {
      cpuShares: 3584,
      memoryLimitBytes: 6.5 * GIB,
      pidsLimit: 31_768,
    });
    const all = parseKubeletArgs(['kube-reserved=memory=100Gi,cpu=9']);
    assert.is(allocatableOf(all, HOST)['memory'], '0Ki');
    assert.is(allocatableOf(all, HOST)['cpu'], '0');
  });
});
