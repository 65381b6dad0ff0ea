import * as assert from 'uvu/assert';
import {
  binarySize,
  hugePageLimits,
  isHugePages,
  pageBytesOf,
} from '../../../../pkg/agent/pod/huge-pages.ts';
import type { Container, Pod } from '../../../../pkg/api/generated/types.ts';
import { suite } from '../../../harness/suite.ts';

const MIB = 2 ** 20;

function container(limits: Readonly<Record<string, string>>): Container {
  return { name: 'c', resources: { limits } };
}

function podOf(...limits: readonly Readonly<Record<string, string>>[]): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: limits.map(container) },
  };
}

suite('huge pages', ({ test }) => {
  test('limits by the names of the kernel', () => {
    const limits = { 'hugepages-2Mi': '6Mi', 'hugepages-1Gi': '1Gi', 'hugepages-64Ki': '1Mi' };
    assert.equal(hugePageLimits(container({ ...limits, memory: '1Gi' })), {
      '2MB': 6 * MIB,
      '1GB': 1024 * MIB,
      '64KB': MIB,
    });
    assert.is(hugePageLimits(container({ memory: '1Gi' })), undefined);
  });

  test('sizes in the largest whole unit', () => {
    for (const [size, text] of [
      [0, '0'],
      [2 * MIB, '2Mi'],
      [1024 * MIB, '1Gi'],
      [1536 * MIB, '1536Mi'],
      [65_536, '64Ki'],
    ] as const)
      assert.is(binarySize(size), text);
  });

  test('a volume has the size that it names, else the only one of its pod', () => {
    const one = podOf({ 'hugepages-2Mi': '4Mi' }, { 'hugepages-2Mi': '2Mi' });
    assert.is(pageBytesOf(one, 'HugePages'), 2 * MIB);
    assert.is(pageBytesOf(one, 'HugePages-2Mi'), 2 * MIB);
    const two = podOf({ 'hugepages-2Mi': '4Mi', 'hugepages-1Gi': '1Gi' });
    assert.is(pageBytesOf(two, 'HugePages-1Gi'), 1024 * MIB);
    assert.throws(() => pageBytesOf(two, 'HugePages'), /multiple huge page sizes/);
    assert.throws(() => pageBytesOf(one, 'HugePages-1Gi'), /of that size/);
    assert.throws(() => pageBytesOf(podOf({}), 'HugePages'), /no container requests huge pages/);
    assert.equal(['', 'Memory', 'HugePages', 'HugePages-2Mi', undefined].map(isHugePages), [
      false,
      false,
      true,
      true,
      false,
    ]);
  });
});
