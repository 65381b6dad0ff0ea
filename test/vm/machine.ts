/**
 * A virtual machine for what the test machine's own kernel cannot show: Debian's cloud kernel, booted by qemu without
 * hardware help, has cgroup v2 alone. Its disk is made from a tree of files; it has no network device. What it runs is
 * one shell script, whose output and exit status come back over the serial console.
 */

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

const KERNELS = resolve('.cache/vm');
const BUSYBOX = '/bin/busybox';
const CPUS = 2;
const MEMORY_MB = 1024;
const DISK_MB = 1536;
const STATUS = /^MINI-VM-STATUS=(\d+)\r?$/m;

/** In the order in which they are loaded. */
const MODULES = [
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci',
  'drivers/block/virtio_blk',
  'lib/libcrc32c',
  'crypto/crc32c_generic',
  'lib/crc16',
  'fs/mbcache',
  'fs/jbd2/jbd2',
  'fs/ext4/ext4',
  'fs/overlayfs/overlay',
  'fs/quota/quota_tree',
  'fs/quota/quota_v2',
  'drivers/block/loop',
  'net/llc/llc',
  'net/802/stp',
  'net/bridge/bridge',
  'drivers/net/veth',
  'drivers/net/dummy',
];

export interface MachineOptions {
  /** File or directory of this machine -> path in the guest. */
  readonly files: ReadonlyMap<string, string>;
  /** Run by busybox's sh as the machine's only job. */
  readonly script: string;
  readonly timeoutMs: number;
}

export interface Result {
  /** The script's exit status; undefined when the machine ended without telling it. */
  readonly status: number | undefined;
  /** All that came over the serial console. */
  readonly output: string;
}

/** Boots a machine, runs the script in it and resolves when it has powered off. Rejects on the deadline. */
export async function runMachine(options: MachineOptions): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'mini-vm-'));
  try {
    const kernel = fetchKernel();
    const initramfs = makeInitramfs(dir, kernel.modules);
    const disk = makeDisk(dir, options);
    const output = await boot({ kernel: kernel.image, initramfs, disk, ...options });
    const status = STATUS.exec(output)?.[1];
    return { status: status === undefined ? undefined : Number(status), output };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Kernel {
  readonly image: string;
  /** Directory of its modules. */
  readonly modules: string;
}

/** The kernel of the package that linux-image-cloud-amd64 names today, unpacked once per checkout. */
function fetchKernel(): Kernel {
  const unpacked = existsSync(KERNELS)
    ? readdirSync(KERNELS).find((name) => name.startsWith('linux-image-'))
    : undefined;
  const name = unpacked ?? downloadKernel();
  const version = name.replace('linux-image-', '');
  return {
    image: join(KERNELS, name, `boot/vmlinuz-${version}`),
    modules: join(KERNELS, name, `lib/modules/${version}/kernel`),
  };
}

function downloadKernel(): string {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], {
    encoding: 'utf8',
  });
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error('Found no package linux-image-cloud-amd64');
  mkdirSync(KERNELS, { recursive: true });
  const dir = mkdtempSync(join(KERNELS, '.fetch-'));
  try {
    // As root, for _apt may not be able to reach this directory.
    const sandbox = ['-o', 'APT::Sandbox::User=root'];
    execFileSync('apt-get', [...sandbox, 'download', '-qq', name], { cwd: dir });
    const archive = readdirSync(dir).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`);
    execFileSync('dpkg-deb', ['-x', join(dir, archive), join(dir, 'tree')]);
    renameSync(join(dir, 'tree'), join(KERNELS, name));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return name;
}

/** Loads the modules, mounts the disk and goes on from there. */
const FIRST_INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in ${MODULES.map((path) => basename(path)).join(' ')}; do
  [ ! -e /modules/$module.ko ] || /bin/busybox insmod /modules/$module.ko || echo "cannot load $module"
done
/bin/busybox mount -t ext4 /dev/vda /root || /bin/busybox poweroff -f
exec /bin/busybox switch_root /root /sbin/init
`;

function makeInitramfs(dir: string, modules: string): string {
  const tree = join(dir, 'initramfs');
  for (const name of ['bin', 'dev', 'modules', 'root'])
    mkdirSync(join(tree, name), { recursive: true });
  copyFileSync(BUSYBOX, join(tree, 'bin/busybox'));
  for (const path of MODULES) {
    // What the kernel has built in has no file.
    const file = join(modules, `${path}.ko`);
    if (existsSync(file)) copyFileSync(file, join(tree, 'modules', basename(file)));
  }
  writeFileSync(join(tree, 'init'), FIRST_INIT, { mode: 0o755 });
  const archive = join(dir, 'initramfs.cpio');
  execFileSync('sh', ['-c', `cd '${tree}' && find . | ${BUSYBOX} cpio -o -H newc >'${archive}'`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return archive;
}

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666 pts /dev/pts
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
hostname vm
ip link set lo up
ip address add 10.99.0.1/24 dev dummy0
ip link set dummy0 up
export PATH=/bin:/sbin HOME=/root
cd /
sh /script
echo "MINI-VM-STATUS=$?"
sync
poweroff -f
`;

const TREE = ['bin', 'dev', 'etc', 'lib64', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp', 'var'];

function makeDisk(dir: string, { files, script }: MachineOptions): string {
  const tree = join(dir, 'tree');
  for (const name of TREE) mkdirSync(join(tree, name), { recursive: true });
  chmodSync(join(tree, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX, join(tree, 'bin/busybox'));
  for (const name of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n'))
    if (name !== '' && name !== 'busybox') symlinkSync('busybox', join(tree, 'bin', name));
  writeFileSync(join(tree, 'sbin/init'), INIT, { mode: 0o755 });
  writeFileSync(join(tree, 'script'), script);
  for (const [from, to] of files) {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    execFileSync('cp', ['-rL', '--preserve=mode', from, join(tree, to)]);
  }
  const disk = join(dir, 'disk');
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-d', tree, disk, `${DISK_MB}M`]);
  rmSync(tree, { recursive: true });
  return disk;
}

/** The shared libraries that a program needs, as they lie here: for a guest that has none. */
export function librariesOf(program: string): readonly string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...listed.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
}

function boot(options: {
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
  readonly timeoutMs: number;
}): Promise<string> {
  const { kernel, initramfs, disk, timeoutMs } = options;
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-accel',
        'tcg,thread=multi',
        '-cpu',
        'qemu64',
        '-smp',
        String(CPUS),
        '-m',
        `${MEMORY_MB}M`,
      ],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
      ...['-serial', 'stdio', '-kernel', kernel, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off'],
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [machine.stdout, machine.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  return new Promise((done, fail) => {
    const deadline = setTimeout(() => {
      output += `\nThe machine took over ${timeoutMs} ms\n`;
      machine.kill('SIGKILL');
    }, timeoutMs);
    machine.once('error', (cause) => {
      clearTimeout(deadline);
      fail(new Error('Cannot start qemu (Debian package qemu-system-x86)', { cause }));
    });
    machine.once('close', () => {
      clearTimeout(deadline);
      done(output);
    });
  });
}
