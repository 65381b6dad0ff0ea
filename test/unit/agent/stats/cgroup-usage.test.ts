/** Readers of each cgroup layout, on directories made as the kernel lays them out. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { cgroupReader, countProcesses } from '../../../../pkg/agent/stats/cgroup-usage.ts';
import { suite } from '../../../harness/suite.ts';

const UNIFIED = {
  'cpu.stat':
    'usage_usec 2500\nuser_usec 2000\nsystem_usec 500\nnr_periods 4\nnr_throttled 1\nthrottled_usec 70\n',
  'memory.current': '9000\n',
  'memory.max': '16384\n',
  'memory.swap.max': 'max\n',
  'memory.swap.current': '0\n',
  'memory.stat':
    'anon 4000\nfile 5000\nfile_mapped 100\ninactive_file 3000\npgfault 7\npgmajfault 2\n',
  'memory.events': 'low 0\nmax 3\n',
  'pids.current': '5\n',
  'pids.max': 'max\n',
  'cgroup.procs': '10\n11\n',
};
const LEGACY_CPU = {
  'cpuacct/p/cpuacct.usage': '2500000\n',
  'cpuacct/p/cpuacct.stat': 'user 3\nsystem 1\n',
  'cpu/p/cpu.stat': 'nr_periods 4\nnr_throttled 1\nthrottled_time 70000\n',
};
const LEGACY_MEMORY = {
  'memory/p/memory.usage_in_bytes': '9000\n',
  'memory/p/memory.limit_in_bytes': '16384\n',
  'memory/p/memory.memsw.limit_in_bytes': '16384\n',
  'memory/p/memory.failcnt': '3\n',
  'memory/p/memory.stat':
    'rss 1\ninactive_file 1\ntotal_rss 4000\ntotal_cache 5000\ntotal_mapped_file 100\ntotal_inactive_file 3000\ntotal_pgfault 7\ntotal_pgmajfault 2\n',
  'memory/p/cgroup.procs': '10\n',
  'memory/p/c/cgroup.procs': '11\n12\n',
};

suite('cgroup usage', ({ test, cleanup }) => {
  const tree = (files: Readonly<Record<string, string>>): string => {
    const root = mkdtempSync(join(tmpdir(), 'mini-cgroup-'));
    cleanup(() => rmSync(root, { recursive: true }));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return root;
  };
  const below = (directory: string, files: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(files).map(([name, text]) => [`${directory}/${name}`, text]));
  const MEMORY = {
    usageBytes: 9000,
    workingSetBytes: 6000,
    rssBytes: 4000,
    cacheBytes: 5000,
    mappedBytes: 100,
    swapBytes: 0,
    limitBytes: 16_384,
    failures: 3,
    pageFaults: 7,
    majorPageFaults: 2,
  };

  test('version 2', () => {
    const root = tree({ 'cgroup.controllers': 'cpu memory pids\n', ...below('p', UNIFIED) });
    assert.equal(cgroupReader(root)('/p'), {
      cpuNanos: 2_500_000,
      cpuUserNanos: 2_000_000,
      cpuSystemNanos: 500_000,
      cpuPeriods: 4,
      cpuThrottledPeriods: 1,
      cpuThrottledNanos: 70_000,
      memory: MEMORY,
      tasks: 5,
    });
    assert.is(countProcesses('/p', root), 2);
  });

  test('version 1: the totals of a tree, no limit as the kernel writes it', () => {
    const root = tree({ ...LEGACY_CPU, ...LEGACY_MEMORY, 'pids/p/pids.current': '5\n' });
    const usage = cgroupReader(root)('/p');
    assert.equal(usage, {
      cpuNanos: 2_500_000,
      cpuUserNanos: 30_000_000,
      cpuSystemNanos: 10_000_000,
      cpuPeriods: 4,
      cpuThrottledPeriods: 1,
      cpuThrottledNanos: 70_000,
      memory: { ...MEMORY, swapLimitBytes: 0 },
      tasks: 5,
    });
    assert.is(countProcesses('/p', root), 3);
    writeFileSync(join(root, 'memory/p/memory.limit_in_bytes'), '9223372036854771712\n');
    assert.is(cgroupReader(root)('/p')?.memory?.limitBytes, undefined);
  });

  test('a hybrid host whose memory controller is on version 2, and one with everything there', () => {
    const root = tree({ ...LEGACY_CPU, ...below('unified/p', UNIFIED) });
    assert.equal(cgroupReader(root)('/p')?.memory, MEMORY);
    assert.is(cgroupReader(root)('/p')?.cpuUserNanos, 30_000_000);
    const other = tree(below('unified/p', UNIFIED));
    assert.is(cgroupReader(other)('/p')?.cpuNanos, 2_500_000);
  });

  test('a cgroup that is not there', () => {
    assert.is(cgroupReader(tree({ 'cgroup.controllers': '' }))('/gone'), undefined);
    assert.is(cgroupReader(tree({ 'cpuacct/x': '' }))('/gone'), undefined);
    assert.is(countProcesses('/gone', tree({})), 0);
  });
});
