/** The server's keys: what is made, kept, renewed and refused. */

import { execFileSync } from 'node:child_process';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { createCsr, parseCsr } from '../../../pkg/pki/csr.ts';
import { issueLeaf, LEAF_LIFETIME_MS, newKey } from '../../../pkg/pki/key-pair.ts';
import { formatKubeconfig } from '../../../pkg/pki/kubeconfig.ts';
import { loadServerPki } from '../../../pkg/pki/server-pki.ts';
import { rejects, suite } from '../../harness/suite.ts';

const NOW = Date.UTC(2026, 10, 22);

/** Making RSA keys takes a busy machine long. */
const OPENSSL_MS = 60_000;

suite('pki/server-pki', ({ test, cleanup }) => {
  const scratch = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-pki-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    return dir;
  };
  const load = (dir: string, names: string[] = ['10.43.0.1', 'node-1'], now = NOW) =>
    loadServerPki({ dir, names, now });

  test('makes a chain that node:crypto accepts, in files of mode 600', async () => {
    const dir = scratch();
    const pki = await load(dir);
    const ca = new X509Certificate(pki.ca.certificate);
    const server = new X509Certificate(pki.server.certificate);
    const admin = new X509Certificate(pki.admin.certificate);
    assert.ok(ca.ca);
    for (const leaf of [server, admin]) {
      assert.ok(leaf.verify(ca.publicKey));
      assert.ok(leaf.checkIssued(ca));
      assert.not(leaf.ca);
    }
    for (const host of [
      'kubernetes',
      'kubernetes.default.svc.cluster.local',
      'localhost',
      'node-1',
    ]) {
      assert.equal(server.checkHost(host), host);
    }
    for (const ip of ['127.0.0.1', '::1', '10.43.0.1']) assert.ok(server.checkIP(ip), ip);
    assert.match(admin.subject, /O=system:masters\nCN=system:admin/);
    for (const file of readdirSync(dir)) assert.is(statSync(join(dir, file)).mode & 0o777, 0o600);
  });

  test('keeps every file when nothing changed', async () => {
    const dir = scratch();
    await load(dir);
    const before = readdirSync(dir).map((file) => readFileSync(join(dir, file), 'utf8'));
    await load(dir);
    assert.equal(
      readdirSync(dir).map((file) => readFileSync(join(dir, file), 'utf8')),
      before,
    );
  });

  test('issues the server certificate anew for a new address and keeps the old ones', async () => {
    const dir = scratch();
    const first = await load(dir, ['192.0.2.7']);
    const second = await load(dir, ['fd00::7']);
    const parsed = new X509Certificate(second.server.certificate);
    assert.ok(parsed.checkIP('192.0.2.7'));
    assert.ok(parsed.checkIP('fd00::7'));
    assert.is(second.ca.certificate, first.ca.certificate);
    assert.is(second.admin.certificate, first.admin.certificate);
    const third = await load(dir, ['fd00::7']);
    assert.is(third.server.certificate, second.server.certificate);
  });

  test('renews certificates in the last third of their life', async () => {
    const dir = scratch();
    const first = await load(dir);
    const early = await load(dir, [], NOW + LEAF_LIFETIME_MS * 0.6);
    assert.is(early.admin.certificate, first.admin.certificate);
    const late = await load(dir, [], NOW + LEAF_LIFETIME_MS * 0.7);
    assert.is.not(late.admin.certificate, first.admin.certificate);
    assert.is(late.ca.certificate, first.ca.certificate);
  });

  test('a board without a clock makes certificates that are valid once the clock is set', async () => {
    const pki = await load(scratch(), [], 0);
    const parsed = new X509Certificate(pki.server.certificate);
    assert.ok(Date.parse(parsed.validTo) > NOW);
    assert.ok(Date.parse(parsed.validFrom) <= NOW);
  });

  test('names a damaged file instead of replacing it', async () => {
    const dir = scratch();
    await load(dir);
    writeFileSync(join(dir, 'server-ca.crt'), 'garbage');
    assert.match(await messageOf(load(dir)), /server-ca\.crt is damaged/);
    assert.is(readFileSync(join(dir, 'server-ca.crt'), 'utf8'), 'garbage');
  });

  test('refuses a key that is not the certificate’s', async () => {
    const dir = scratch();
    await load(dir);
    writeFileSync(join(dir, 'server-ca.key'), readFileSync(join(dir, 'client-admin.key')));
    assert.match(await messageOf(load(dir)), /server-ca\.key is not the key of/);
    rmSync(join(dir, 'server-ca.key'));
    assert.match(await messageOf(load(dir)), /its key .* does not/);
  });

  test('signs a node’s request and refuses one that was altered', async () => {
    const pki = await load(scratch());
    const subject = { commonName: 'system:node:a', organizations: ['system:nodes'] };
    const pem = await createCsr(subject, newKey());
    const request = await parseCsr(pem);
    assert.equal(request.subject, subject);
    const { publicKey } = request;
    const issued = new X509Certificate(
      await issueLeaf(pki.ca, { subject, publicKey, usages: ['client'], now: NOW }),
    );
    assert.ok(issued.verify(createPublicKey(pki.ca.certificate)));
    assert.equal(issued.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    const der = derOf(pem);
    der[der.indexOf('system:node:a') + 12] = 0x62;
    assert.match(await messageOf(parseCsr(pemOf(der))), /signature does not match/);
  });

  test('refuses what is no request, is cut short or too long', async () => {
    const subject = { commonName: 'a', organizations: [] };
    const pem = await createCsr(subject, newKey());
    const certificate = (await load(scratch())).ca.certificate;
    const bad = ['nonsense', '', certificate, pemOf(derOf(pem).subarray(0, 40)), pem.repeat(200)];
    for (const text of bad) {
      assert.match(
        await messageOf(parseCsr(text)),
        /^Cannot use the certificate signing request: /,
      );
    }
  });

  test(
    'reads what openssl asks for, by RSA and by other curves',
    async () => {
      const dir = scratch();
      for (const kind of ['rsa:2048', 'ec:secp384r1']) {
        const pem = openssl(dir, kind, '/O=ops/O=dev/CN=alice', [
          '-addext',
          'subjectAltName=DNS:web.example,IP:192.0.2.7,IP:fd00::7',
        ]);
        const { subject, altNames } = await parseCsr(pem);
        assert.equal(subject, { commonName: 'alice', organizations: ['ops', 'dev'] });
        assert.equal(altNames.slice(0, 2), ['web.example', '192.0.2.7']);
        assert.is(new URL(`http://[${altNames[2]}]`).hostname, '[fd00::7]');
      }
      assert.match(await messageOf(parseCsr(openssl(dir, 'rsa:1024', '/CN=a'))), /needs 2048 bits/);
      const mail = openssl(dir, 'ec:prime256v1', '/CN=a', [
        '-addext',
        'subjectAltName=email:a@b.example',
      ]);
      assert.match(await messageOf(parseCsr(mail)), /neither DNS nor IP/);
    },
    OPENSSL_MS,
  );

  test(
    'works with a CA that somebody else made, and openssl accepts the chain',
    async () => {
      for (const kind of ['rsa:2048', 'ec:prime256v1', 'ec:secp521r1']) {
        const dir = scratch();
        const ca = openssl(dir, kind, '/C=DE/O=Example/CN=Company CA', [
          ...['-x509', '-days', '3650', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
        ]);
        writeFileSync(join(dir, 'server-ca.crt'), ca);
        writeFileSync(join(dir, 'server-ca.key'), readFileSync(join(dir, 'key.pem')), {
          mode: 0o600,
        });
        const { server } = await load(dir, ['node-1'], Date.now());
        assert.ok(new X509Certificate(server.certificate).checkIssued(new X509Certificate(ca)));
        writeFileSync(join(dir, 'leaf.crt'), server.certificate);
        execFileSync('openssl', [
          ...['verify', '-x509_strict', '-purpose', 'sslserver'],
          ...['-CAfile', join(dir, 'server-ca.crt'), join(dir, 'leaf.crt')],
        ]);
      }
    },
    OPENSSL_MS,
  );

  test('the kubeconfig carries the pieces as base64', async () => {
    const pki = await load(scratch());
    const text = formatKubeconfig({
      server: 'https://127.0.0.1:6443',
      ca: pki.ca.certificate,
      client: pki.admin,
    });
    assert.match(text, 'server: https://127.0.0.1:6443');
    assert.match(text, Buffer.from(pki.ca.certificate).toString('base64'));
  });
});

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await rejects(work);
  return error instanceof Error ? error.message : String(error);
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64');
}

function pemOf(der: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** A request (or, with -x509, a certificate) by openssl; its key is in key.pem. `kind` is rsa:BITS or ec:CURVE. */
function openssl(dir: string, kind: string, subject: string, more: readonly string[] = []): string {
  const [type = '', size = ''] = kind.split(':');
  const key = type === 'ec' ? ['ec', '-pkeyopt', `ec_paramgen_curve:${size}`] : [kind];
  return execFileSync(
    'openssl',
    [
      ...['req', '-new', '-newkey', ...key, '-nodes', '-keyout', join(dir, 'key.pem')],
      ...['-subj', subject, ...more],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
}
