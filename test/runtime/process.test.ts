/** What config.json gives a process besides user and capabilities: seccomp, scheduling, personality, time, labels. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { rejects, suite } from '../harness/suite.ts';
import { createFixture, EXEC, type Fixture, type Options, textOf } from './fixture.ts';

const ARCHITECTURES = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'];

/** A profile that allows everything but these. */
function denying(...syscalls: readonly Readonly<Record<string, unknown>>[]): Options {
  return {
    linux: {
      seccomp: { defaultAction: 'SCMP_ACT_ALLOW', architectures: ARCHITECTURES, syscalls },
    },
  };
}

const MKDIR = ['mkdir', 'mkdirat'];

suite('runtime process', ({ test, cleanup }) => {
  const fixture = async () => {
    const made = await createFixture();
    cleanup(() => made.close());
    return made;
  };
  const sh = (f: Fixture, script: string, options: Options = {}) =>
    f.runToEnd(['sh', '-c', `exec 2>&1; ${script}`], options);

  for (const noNewPrivileges of [true, false])
    test(`filters system calls, with no-new-privileges ${noNewPrivileges}`, async () => {
      const f = await fixture();
      const rule = { names: [...MKDIR, 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 18 };
      const { lines } = await sh(
        f,
        'busybox mkdir /x; cat /proc/self/status; cat /proc/self/uid_map',
        {
          ...denying(rule),
          process: { noNewPrivileges, user: { uid: 1000, gid: 1000 } },
        },
      );
      assert.match(lines[0] ?? '', /cross-device link/);
      assert.ok(lines.includes('Seccomp:\t2'), lines.join('\n'));
      assert.ok(lines.includes(`NoNewPrivs:\t${noNewPrivileges ? 1 : 0}`));
      assert.ok(lines.includes('CapEff:\t0000000000000000'));
      assert.ok(lines.includes('CapPrm:\t0000000000000000'));
    });

  test('denies by default what a profile does not name, newer calls as an old kernel would', async () => {
    const f = await fixture();
    const names = [
      ...['execve', 'brk', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'prlimit64'],
      ...['readlink', 'readlinkat', 'getrandom', 'mprotect', 'write', 'exit_group', 'exit', 'mmap'],
      ...[
        'munmap',
        'getuid',
        'setuid',
        'setgid',
        'prctl',
        'capset',
        'uname',
        'ioctl',
        'newfstatat',
      ],
      ...['fstat', 'close', 'openat', 'read', 'dup2', 'fcntl', 'getpid', 'rt_sigaction', 'stat'],
      ...[
        'rt_sigprocmask',
        'rt_sigreturn',
        'getppid',
        'getcwd',
        'wait4',
        'clone',
        'fork',
        'vfork',
        'geteuid',
      ],
    ];
    const { lines } = await sh(f, 'busybox mkdir /x; echo done', {
      linux: {
        seccomp: {
          defaultAction: 'SCMP_ACT_ERRNO',
          defaultErrnoRet: 95,
          architectures: ['SCMP_ARCH_X86_64'],
          flags: ['SECCOMP_FILTER_FLAG_LOG'],
          syscalls: [{ names, action: 'SCMP_ACT_ALLOW' }],
        },
      },
    });
    assert.match(lines[0] ?? '', /Operation not supported/);
    assert.is(lines[1], 'done');
  });

  test('compares arguments, and kills where the profile says so', async () => {
    const f = await fixture();
    // kill(2) with signal 10 is killed for, with 12 it fails, with 0 it works.
    const rule = (value: number, action: string) => ({
      names: ['kill'],
      action,
      args: [{ index: 1, value, op: 'SCMP_CMP_EQ' }],
    });
    const options = denying(rule(10, 'SCMP_ACT_KILL_PROCESS'), rule(12, 'SCMP_ACT_ERRNO'));
    const script = 'kill -0 $$ && echo 0; busybox kill -12 1; busybox kill -10 1; echo $?';
    const { lines } = await sh(f, script, options);
    assert.is(lines[0], '0');
    assert.match(lines[1] ?? '', /Operation not permitted/);
    assert.ok(lines.includes('159'), lines.join('\n'));
  });

  test('takes every operator, and conditions on one argument as alternatives', async () => {
    const f = await fixture();
    const when = (op: string, value: number, valueTwo?: number) => ({
      names: ['kill'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 18,
      args: [{ index: 1, op, value, ...(valueTwo === undefined ? {} : { valueTwo }) }],
    });
    const cases = [
      [when('SCMP_CMP_LT', 3), [1, 2]],
      [when('SCMP_CMP_LE', 3), [1, 2, 3]],
      [when('SCMP_CMP_NE', 3), [1, 2, 4, 5]],
      [when('SCMP_CMP_GE', 4), [4, 5]],
      [when('SCMP_CMP_GT', 4), [5]],
      [when('SCMP_CMP_MASKED_EQ', 1, 1), [1, 3, 5]],
      [
        {
          ...when('SCMP_CMP_EQ', 2),
          args: [2, 4].map((value) => ({ index: 1, op: 'SCMP_CMP_EQ', value })),
        },
        [2, 4],
      ],
    ] as const;
    // No such process is there: without the filter each call says so.
    const script =
      'for n in 1 2 3 4 5; do case $(kill -$n 9999 2>&1) in *cross-device*) echo $n;; esac; done';
    for (const [rule, refused] of cases) {
      const { lines } = await sh(f, script, denying(rule));
      assert.equal(lines.map(Number), refused, JSON.stringify(rule.args));
    }
  });

  test('filters what is executed later, too, and compiles a profile once', async () => {
    const f = await fixture();
    const rule = { names: MKDIR, action: 'SCMP_ACT_ERRNO', errnoRet: 18 };
    for (const id of ['a', 'b']) await f.runtime.run(f.spec(id, ['sleep', '100'], denying(rule)));
    const cached = readdirSync(join(f.runDir, 'containers/.seccomp'));
    assert.is(cached.length, 1);
    const session = await f.runtime.exec('b', {
      ...EXEC,
      execId: 'e',
      args: ['sh', '-c', 'busybox mkdir /x 2>&1; busybox grep Seccomp: /proc/self/status'],
    });
    const text = await textOf(session.stdout);
    assert.match(text, /cross-device link\nSeccomp:\t2/);
    assert.is((await session.exited).exitCode, 0);
  });

  for (const [what, seccomp, message] of [
    ['notification', { defaultAction: 'SCMP_ACT_NOTIFY' }, /SCMP_ACT_NOTIFY is not supported/],
    ['a listener', { listenerPath: '/run/x' }, /listenerPath is not supported/],
    ['an unknown action', { defaultAction: 'NOPE' }, /unknown action "NOPE"/],
    ['an unknown flag', { flags: ['NOPE'] }, /flag "NOPE" is not supported/],
    ['an unknown architecture', { architectures: ['NOPE'] }, /unknown architecture "NOPE"/],
    [
      'an unknown operator',
      { syscalls: [{ names: ['kill'], action: 'SCMP_ACT_LOG', args: [{ index: 0, op: 'NOPE' }] }] },
      /unknown operator "NOPE"/,
    ],
  ] as const)
    test(`refuses ${what} in a seccomp profile`, async () => {
      const f = await fixture();
      const profile = { defaultAction: 'SCMP_ACT_ALLOW', ...seccomp };
      const failed = f.runtime.run(f.spec('x', ['true'], { linux: { seccomp: profile } }));
      assert.match(String(await rejects(failed)), message);
      assert.is(await f.runtime.state('x'), undefined);
    });

  test('sets scheduling, priorities, personality and processors', async () => {
    const f = await fixture();
    const process = {
      ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 },
      scheduler: { policy: 'SCHED_BATCH', nice: 7 },
      execCPUAffinity: { initial: '0', final: '0' },
    };
    const options: Options = { process, linux: { personality: { domain: 'LINUX32' } } };
    const script =
      'busybox ionice -p 1; cat /proc/1/stat; busybox uname -m; busybox grep Cpus_allowed_list /proc/self/status';
    const { lines } = await sh(f, script, options);
    assert.is(lines[0], 'best-effort: prio 6');
    // Counted from behind the name: nice is field 19, the policy 41; SCHED_BATCH is 3.
    const fields = (lines[1] ?? '').replace(/.*\) /, '').split(' ');
    assert.equal([fields[16], fields[38]], ['7', '3']);
    assert.is(lines[2], 'i686');
    assert.not.match(lines[3] ?? '', /:\t0$/);
    await f.runtime.run(f.spec('a', ['sleep', '100'], options));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e',
      args: ['sh', '-c', 'busybox uname -m; busybox grep Cpus_allowed_list /proc/self/status'],
    });
    assert.is(await textOf(session.stdout), 'i686\nCpus_allowed_list:\t0\n');
  });

  test('gives a time namespace its offsets, to execs too', async () => {
    const f = await fixture();
    const types = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'time'];
    const options: Options = {
      namespaces: types.map((type) => ({ type })),
      linux: {
        timeOffsets: { boottime: { secs: 500_000_000 }, monotonic: { secs: 7, nanosecs: 5 } },
      },
    };
    await f.runtime.run(f.spec('a', ['sleep', '100'], options));
    const session = await f.runtime.exec('a', {
      ...EXEC,
      execId: 'e',
      args: ['cat', '/proc/uptime'],
    });
    assert.ok(Number.parseFloat(await textOf(session.stdout)) >= 500_000_000);
    const { lines } = await sh(f, 'cat /proc/uptime', options);
    assert.ok(Number.parseFloat(lines[0] ?? '') >= 500_000_000);
  });

  for (const [options, message] of [
    [{ process: { apparmorProfile: 'x' } }, /apparmorProfile "x": this kernel has no AppArmor/],
    [{ process: { selinuxLabel: 'x' } }, /selinuxLabel "x": this host has no SELinux/],
    [{ process: { scheduler: { policy: 'NOPE' } } }, /scheduler.policy "NOPE" is unknown/],
    [{ process: { ioPriority: { class: 'NOPE' } } }, /ioPriority.class "NOPE" is unknown/],
    [{ process: { execCPUAffinity: { initial: '1-' } } }, /"1-" is no list of processors/],
    [{ linux: { personality: { domain: 'BSD' } } }, /personality.domain "BSD" must be LINUX/],
    [{ linux: { timeOffsets: { boottime: { secs: 1 } } } }, /needs a new time namespace/],
    [{ linux: { memoryPolicy: { mode: 'MPOL_BIND' } } }, /linux.memoryPolicy is not supported/],
  ] as const)
    test(`refuses ${JSON.stringify(options)}`, async () => {
      const f = await fixture();
      const error = await rejects(f.runtime.run(f.spec('x', ['true'], options)));
      assert.match(String(error), message);
    });
});
