/** Whether mini's directories can hold what it puts there. */

import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Finding } from './finding.ts';

const FREE_MIN_BYTES = 1e9;
/** The kernel refuses these below a container's writable layer. */
const NO_UPPER = ['overlay', 'nfs', 'nfs4', 'cifs', 'vfat', 'exfat', '9p'];

interface Mount {
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** A directory that may not exist yet: its nearest ancestor decides. */
export function directoryFindings(subject: string, path: string): Finding[] {
  const there = nearest(path);
  const mount = mountOf(there);
  if (!isWritable(there)) {
    return [
      {
        level: 'missing',
        subject,
        text: `${path} cannot be written`,
        mend: 'mount its file system writable, run as root, or name another directory',
      },
    ];
  }
  return [
    { level: 'ok', subject, text: `${path}, writable (${mount.type || 'unknown file system'})` },
  ];
}

/** The data directory besides: containers run from it. */
export function dataFindings(path: string, subject = 'data directory'): Finding[] {
  const there = nearest(path);
  const mount = mountOf(there);
  const findings = directoryFindings(subject, path);
  if (mount.options.includes('noexec')) {
    findings.push({
      level: 'missing',
      subject,
      text: `${mount.point} is mounted noexec: no program can be started from ${path}`,
      mend: `mount -o remount,exec ${mount.point}, or name another with --data-dir`,
    });
  }
  if (NO_UPPER.includes(mount.type)) {
    findings.push({
      level: 'missing',
      subject,
      text: `${mount.point} is of type ${mount.type}, on which overlayfs cannot write`,
      mend: 'name a directory on ext4, xfs, btrfs or tmpfs with --data-dir',
    });
  }
  return [...findings, spaceFinding(there)];
}

const MKFS = ['/usr/sbin/mkfs.ext4', '/sbin/mkfs.ext4'];
const QUOTA_OPTIONS = ['prjquota', 'pquota'];

/** Volumes of claims need one of two ways to be limited. */
export function volumesFinding(dataDir: string): Finding {
  const { options, point } = mountOf(nearest(dataDir));
  const subject = 'volumes';
  if (options.some((option) => QUOTA_OPTIONS.includes(option))) {
    return { level: 'ok', subject, text: `limited by project quotas of ${point}` };
  }
  if (MKFS.some((path) => existsSync(path))) {
    return { level: 'ok', subject, text: 'limited by a file with an ext4 each' };
  }
  return {
    level: 'degraded',
    subject,
    text: 'no claim gets a volume on this node: neither project quotas nor mkfs.ext4 can limit it',
    mend: `install e2fsprogs, or mount ${point} with prjquota`,
  };
}

function spaceFinding(path: string): Finding {
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  const text = `${(free / 1e9).toFixed(1)} GB free`;
  if (free >= FREE_MIN_BYTES) return { level: 'ok', subject: 'disk space', text };
  return {
    level: 'degraded',
    subject: 'disk space',
    text: `${text}: images may not fit, and a full disk makes the store read-only`,
    mend: 'free some, or name a larger disk with --data-dir',
  };
}

function nearest(path: string): string {
  let found = path;
  while (!existsSync(found) && found !== dirname(found)) found = dirname(found);
  return found;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The mount that holds a path: the last one whose point is its longest prefix. Source: proc(5), mounts. */
function mountOf(path: string): Mount {
  let best: Mount = { point: '', type: '', options: [] };
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, point = '', type = '', options = ''] = line.split(' ');
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`);
    if (point !== '' && isAbove && point.length >= best.point.length)
      best = { point, type, options: options.split(',') };
  }
  return best;
}
