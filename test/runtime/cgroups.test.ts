/** Cgroups above those of containers: made once, kept until whoever made them removes them. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { isCgroupV2, removeCgroup } from '../../pkg/engine/cgroups.ts';
import { toResources } from '../../pkg/engine/spec.ts';
import { suite } from '../harness/suite.ts';
import { createFixture } from './fixture.ts';

const MIB = 2 ** 20;
const MOUNT = '/sys/fs/cgroup';
/** Names of the same limits in both versions. */
const FILES = isCgroupV2()
  ? { shares: 'cpu.weight', memory: 'memory.max', pids: 'pids.max' }
  : { shares: 'cpu.shares', memory: 'memory.limit_in_bytes', pids: 'pids.max' };

function read(cgroup: string, file: string): string {
  const controller = isCgroupV2() ? '' : (file.split('.')[0] ?? '');
  return readFileSync(join(MOUNT, controller, cgroup, file), 'utf8').trim();
}

suite('runtime cgroups', ({ test, cleanup }) => {
  test('a kept cgroup takes limits, holds containers and outlives them', async () => {
    const f = await createFixture();
    const root = `${f.cgroupParent}/pods`;
    const pod = `${root}/pod1`;
    cleanup(async () => {
      for (const path of [pod, root, f.cgroupParent]) await removeCgroup(path);
      await f.close();
    });
    const keep = (path: string, resources: Parameters<typeof toResources>[0]) =>
      f.runtime.keepCgroup({ path, resources: toResources(resources) });
    await keep(root, { cpuShares: 1024 });
    await keep(pod, { cpuShares: 512, memoryLimitBytes: 64 * MIB, pidsLimit: 50 });
    assert.is(read(root, FILES.shares), isCgroupV2() ? '100' : '1024');
    assert.is(read(pod, FILES.shares), isCgroupV2() ? '59' : '512');
    assert.is(read(pod, FILES.memory), String(64 * MIB));
    assert.is(read(pod, FILES.pids), '50');
    const spec = f.spec('c', ['sleep', '100']);
    const linux = { ...(spec.config['linux'] as object), cgroupsPath: `${pod}/c` };
    await f.runtime.run({ ...spec, config: { ...spec.config, linux } });
    await keep(pod, { memoryLimitBytes: 32 * MIB });
    assert.is(read(pod, FILES.memory), String(32 * MIB));
    assert.is(read(pod, FILES.pids), '50');
    await f.runtime.delete('c', { isForced: true });
    assert.is(read(pod, FILES.memory), String(32 * MIB));
    await removeCgroup(root);
    assert.is(read(root, FILES.shares), isCgroupV2() ? '100' : '1024', 'one that is in use stays');
    for (const path of [pod, root]) await removeCgroup(path);
    assert.not.ok(existsSync(join(MOUNT, isCgroupV2() ? '' : 'memory', root)));
  });

  test('a sandbox makes the cgroup of its containers', async () => {
    const f = await createFixture();
    const path = `${f.cgroupParent}/pod2`;
    cleanup(async () => {
      for (const one of [path, f.cgroupParent]) await removeCgroup(one);
      await f.close();
    });
    const cgroup = { path, resources: toResources({ cpuShares: 2 }) };
    const namespaces = ['net', 'ipc', 'uts'] as const;
    await f.runtime.createSandbox({ id: 's', hostname: 'h', namespaces, cgroup });
    assert.is(read(path, FILES.shares), isCgroupV2() ? '1' : '2');
  });

  test('a container sees its own cgroups and none above or beside them', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const limit = { linux: { resources: { pids: { limit: 77 } } } };
    const place = `${MOUNT}/${isCgroupV2() ? '' : 'pids/'}`;
    const script = `cat ${place}pids.max; ls -d ${place}*/; grep -E ' - cgroup2? ' /proc/self/mountinfo`;
    const { lines } = await f.runToEnd(
      ['sh', '-c', `exec 2>&1; ${script}; touch ${place}x`],
      limit,
    );
    assert.is(lines[0], '77');
    assert.match(lines[1] ?? '', /No such file/, 'no cgroup of another is below');
    const mounts = lines.slice(2, -1).map((line) => line.split(' '));
    const wanted = isCgroupV2() ? 1 : readdirSync(MOUNT).length;
    assert.is(mounts.length, wanted);
    for (const [, , , root, at, flags] of mounts) {
      assert.is(root, '/', `${at} begins at the container's cgroup`);
      assert.match(flags ?? '', /^ro,.*nosuid.*nodev.*noexec/);
    }
    assert.match(lines.at(-1) ?? '', /Read-only file system/);
  });

  test('a relative path is refused', async () => {
    const f = await createFixture();
    cleanup(() => f.close());
    const error = await f.runtime.keepCgroup({ path: 'pods', resources: {} }).catch(String);
    assert.match(String(error), /cgroup path "pods" must be absolute/);
  });
});
