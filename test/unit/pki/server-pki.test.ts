/** The server's keys: what is made, kept, renewed and refused. */

import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { createCsr, parseCsr } from '../../../pkg/pki/csr.ts';
import { issueLeaf, LEAF_LIFETIME_MS, newKey } from '../../../pkg/pki/key-pair.ts';
import { formatKubeconfig } from '../../../pkg/pki/kubeconfig.ts';
import { loadServerPki } from '../../../pkg/pki/server-pki.ts';
import { suite } from '../../harness/suite.ts';

const NOW = Date.UTC(2026, 10, 22);

suite('pki/server-pki', ({ test, cleanup }) => {
  const scratch = () => {
    const dir = mkdtempSync(join(tmpdir(), 'mini-pki-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    return dir;
  };
  const load = (dir: string, names: string[] = ['10.43.0.1', 'node-1'], now = NOW) =>
    loadServerPki({ dir, names, now });

  test('makes a chain that node:crypto accepts, in files of mode 600', () => {
    const dir = scratch();
    const pki = load(dir);
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

  test('keeps every file when nothing changed', () => {
    const dir = scratch();
    load(dir);
    const before = readdirSync(dir).map((file) => readFileSync(join(dir, file), 'utf8'));
    load(dir);
    assert.equal(
      readdirSync(dir).map((file) => readFileSync(join(dir, file), 'utf8')),
      before,
    );
  });

  test('issues the server certificate anew for a new address and keeps the old ones', () => {
    const dir = scratch();
    const first = load(dir, ['192.0.2.7']);
    const second = load(dir, ['fd00::7']);
    const parsed = new X509Certificate(second.server.certificate);
    assert.ok(parsed.checkIP('192.0.2.7'));
    assert.ok(parsed.checkIP('fd00::7'));
    assert.is(second.ca.certificate, first.ca.certificate);
    assert.is(second.admin.certificate, first.admin.certificate);
    assert.is(load(dir, ['fd00::7']).server.certificate, second.server.certificate);
  });

  test('renews certificates in the last third of their life', () => {
    const dir = scratch();
    const first = load(dir);
    const early = load(dir, [], NOW + LEAF_LIFETIME_MS * 0.6);
    assert.is(early.admin.certificate, first.admin.certificate);
    const late = load(dir, [], NOW + LEAF_LIFETIME_MS * 0.7);
    assert.is.not(late.admin.certificate, first.admin.certificate);
    assert.is(late.ca.certificate, first.ca.certificate);
  });

  test('a board without a clock makes certificates that are valid once the clock is set', () => {
    const pki = load(scratch(), [], 0);
    const parsed = new X509Certificate(pki.server.certificate);
    assert.ok(Date.parse(parsed.validTo) > NOW);
    assert.ok(Date.parse(parsed.validFrom) <= NOW);
  });

  test('names a damaged file instead of replacing it', () => {
    const dir = scratch();
    load(dir);
    writeFileSync(join(dir, 'server-ca.crt'), 'garbage');
    assert.throws(() => load(dir), /server-ca\.crt is damaged/);
    assert.is(readFileSync(join(dir, 'server-ca.crt'), 'utf8'), 'garbage');
  });

  test('refuses a key that is not the certificate’s', () => {
    const dir = scratch();
    load(dir);
    writeFileSync(join(dir, 'server-ca.key'), readFileSync(join(dir, 'client-admin.key')));
    assert.throws(() => load(dir), /server-ca\.key is not the key of/);
    rmSync(join(dir, 'server-ca.key'));
    assert.throws(() => load(dir), /its key .* does not/);
  });

  test('signs a node’s request and refuses one that was altered', () => {
    const pki = load(scratch());
    const subject = { commonName: 'system:node:a', organizations: ['system:nodes'] };
    const pem = createCsr(subject, newKey());
    const request = parseCsr(pem);
    assert.equal(request.subject, subject);
    const issued = new X509Certificate(
      issueLeaf(pki.ca, { subject, publicKey: request.publicKey, usages: ['client'], now: NOW }),
    );
    assert.ok(issued.verify(createPublicKey(pki.ca.certificate)));
    assert.equal(issued.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    const der = Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64');
    der[der.indexOf('system:node:a') + 12] = 0x62;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    assert.throws(() => parseCsr(forged), /signature does not match/);
    assert.throws(() => parseCsr('nonsense'), /Cannot use the certificate signing request/);
  });

  test('the kubeconfig carries the pieces as base64', () => {
    const pki = load(scratch());
    const text = formatKubeconfig({
      server: 'https://127.0.0.1:6443',
      ca: pki.ca.certificate,
      client: pki.admin,
    });
    assert.match(text, 'server: https://127.0.0.1:6443');
    assert.match(text, Buffer.from(pki.ca.certificate).toString('base64'));
  });
});
