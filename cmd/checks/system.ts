/** Whether the host as a whole can run mini: user, memory, clock, open files, ports. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { totalmem } from 'node:os';
import type { Finding } from './finding.ts';

const MEMORY_MIN_BYTES = 480e6;
const OPEN_FILES_MIN = 4096;
/** mini did not exist before: a clock that says so is wrong, and certificates would not be valid yet. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);

export function userFinding(uid = process.getuid?.()): Finding {
  if (uid === 0) return { level: 'ok', subject: 'user', text: 'root' };
  return {
    level: 'missing',
    subject: 'user',
    text: 'not root: containers cannot be run (a control plane alone can: --disable-agent)',
    mend: 'run it as root',
  };
}

export function clockFinding(nowMs = Date.now()): Finding {
  const text = new Date(nowMs).toISOString();
  if (nowMs >= EARLIEST_MS) return { level: 'ok', subject: 'clock', text };
  return {
    level: 'degraded',
    subject: 'clock',
    text: `it says ${text}: certificates will not be valid elsewhere`,
    mend: 'set it (date -s, or an NTP client) before the first start',
  };
}

export function memoryFinding(bytes = totalmem()): Finding {
  const text = `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= MEMORY_MIN_BYTES) return { level: 'ok', subject: 'memory', text };
  return {
    level: 'degraded',
    subject: 'memory',
    text: `${text}: a server needs about 0.2 GB and a node 0.1 GB besides their pods`,
    mend: 'run an agent only, or add swap',
  };
}

export function openFilesFinding(): Finding {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  const text = `up to ${hard}`;
  if (hard === 'unlimited' || Number(hard) >= OPEN_FILES_MIN)
    return { level: 'ok', subject: 'open files', text };
  return {
    level: 'degraded',
    subject: 'open files',
    text: `${text}: too few for many pods and clients`,
    mend: `raise the hard limit to ${OPEN_FILES_MIN} or more (ulimit -Hn, LimitNOFILE=)`,
  };
}

/** Tries to listen. */
export function portFinding(host: string, port: number): Promise<Finding> {
  const subject = `port ${port}`;
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ level: 'missing', subject, ...portProblem(error, { host, port }) }),
    );
    server.listen({ host, port, exclusive: true }, () =>
      server.close(() => resolve({ level: 'ok', subject, text: 'free' })),
    );
  });
}

/** Why nobody can listen there, and what to do. */
export function portProblem(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
): { text: string; mend: string } {
  if (error.code === 'EADDRINUSE')
    return {
      text: `port ${port} of ${host} is in use by another program`,
      mend: `stop that (ss -ltnp 'sport = :${port}' shows it) or choose another with --https-listen-port`,
    };
  if (error.code === 'EADDRNOTAVAIL')
    return {
      text: `${host} is no address of this host`,
      mend: 'choose another with --bind-address',
    };
  if (error.code === 'EACCES')
    return {
      text: `only root may listen on port ${port}`,
      mend: 'choose one from 1024 on with --https-listen-port',
    };
  return { text: `cannot listen on ${host}:${port}: ${error.message}`, mend: 'choose another' };
}
