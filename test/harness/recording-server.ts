/** A TLS server on a test host that writes down all it hears and looks like a mini server as far as its CA goes. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './hosts.ts';

const START_TIMEOUT_MS = 10_000;

export interface RecordingServer {
  /** Of the CA that it shows under /cacerts. */
  readonly caHash: string;
  /** Everything it has received, decrypted. */
  heard(): string;
  /** Its Date headers are off by this. */
  setClock(offsetMs: number): void;
}

/** Starts it on port 6443 of the host; it ends with the host. */
export async function recordingServer(host: Host): Promise<RecordingServer> {
  const path = (name: string) => join(host.dir, name);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-days', '30', '-subj', '/CN=kubernetes', '-addext', 'subjectAltName=DNS:kubernetes'],
      ...['-keyout', path('key.pem'), '-out', path('ca.pem')],
    ],
    { stdio: 'ignore' },
  );
  writeFileSync(path('heard'), '');
  writeFileSync(path('offset'), '0');
  writeFileSync(path('server.cjs'), PROGRAM);
  host.start([process.execPath, path('server.cjs'), host.dir]);
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!existsSync(path('listening'))) {
    if (Date.now() > deadlineMs) throw new Error('The recording server did not start');
    await new Promise((next) => setTimeout(next, 20));
  }
  return {
    caHash: createHash('sha256')
      .update(readFileSync(path('ca.pem')))
      .digest('hex'),
    heard: () => readFileSync(path('heard'), 'latin1'),
    setClock: (offsetMs) => writeFileSync(path('offset'), String(offsetMs)),
  };
}

const PROGRAM = `
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:tls');
const [, , dir] = process.argv;
const cert = readFileSync(dir + '/ca.pem', 'utf8');
createServer({ cert, key: readFileSync(dir + '/key.pem') }, (socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    appendFileSync(dir + '/heard', bytes);
    const date = new Date(Date.now() + Number(readFileSync(dir + '/offset', 'utf8'))).toUTCString();
    const body = String(bytes).startsWith('GET /cacerts') ? cert : 'hello';
    socket.end('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nDate: ' + date + '\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n' + body);
  });
}).listen(6443, '0.0.0.0', () => writeFileSync(dir + '/listening', ''));
`;
