/** Certificates of pods: a node that asks for them with its own rights, and a signer that decides. */

import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import * as assert from 'uvu/assert';
import { PodCertificates } from '../../pkg/agent/volumes/pod-certificates.ts';
import type { Pod, PodCertificateRequest } from '../../pkg/api/generated/types.ts';
import { toPem } from '../../pkg/api/pem.ts';
import { silent } from '../../pkg/log/log.ts';
import { issueCertificate, spkiOf } from '../../pkg/pki/certificate.ts';
import { parseCsr } from '../../pkg/pki/csr.ts';
import { makePodKey } from '../../pkg/pki/pod-key.ts';
import { systemClock } from '../../pkg/wait/clock.ts';
import { rejects, suite } from '../harness/suite.ts';
import { eventually, startControlPlane } from './control-plane.ts';

const REQUESTS = 'podcertificaterequests';
const HOUR_MS = 3_600_000;
const SIGNER = 'example.com/test';

suite('certificates of pods', ({ test, cleanup }) => {
  async function start() {
    const plane = await startControlPlane();
    cleanup(() => plane.close());
    const { client } = plane;
    await plane.playNode('node1');
    await plane.playNode('node2');
    const pod = await client.create<Pod>('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: 'p' },
      spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'i' }] },
    });
    const events: string[] = [];
    const changed: string[] = [];
    let aheadMs = 0;
    const node = plane.as({ name: 'system:node:node1', groups: ['system:nodes'] });
    const certificates = new PodCertificates({
      client: node,
      clock: { ...systemClock, now: () => Date.now() + aheadMs },
      log: silent,
      nodeName: 'node1',
      record: (_, { reason, message }) => void events.push(`${reason} ${message}`),
      onChange: (uid) => void changed.push(uid),
    });
    cleanup(() => certificates.close());
    const projection = { signerName: SIGNER, keyType: 'ED25519', credentialBundlePath: 'c' };
    const { signal } = new AbortController();
    const get = () => certificates.get(pod, { volume: 'v', index: 0, projection }, signal);
    const requests = async () => (await client.list<PodCertificateRequest>(REQUESTS)).items;
    const pending = async () => {
      const found = (await requests()).filter(({ status }) => !status?.conditions);
      assert.is(found.length, 1);
      return found[0] as PodCertificateRequest;
    };
    const decide = async (status: object) => {
      const before = changed.length;
      await client.updateStatus(REQUESTS, { ...(await pending()), status } as never);
      await eventually(async () => changed.length > before);
    };
    const move = (ms: number) => {
      aheadMs += ms;
    };
    return {
      plane,
      client,
      node,
      pod,
      certificates,
      get,
      requests,
      pending,
      decide,
      events,
      changed,
      move,
    };
  }

  test('a certificate is asked for, given to the pod, and asked for again in time', async () => {
    const { certificates, pod, get, decide, pending, requests, move, events } = await start();
    assert.match(String(await rejects(get())), /credential bundle is not issued yet/);
    await rejects(get());
    const { spec, metadata } = await pending();
    assert.is(spec.maxExpirationSeconds, 86_400);
    assert.is(metadata.ownerReferences?.[0]?.uid, pod.metadata.uid);
    assert.is(certificates.refreshAtMs(pod.metadata.uid), undefined);
    await decide(await issued(await pending()));
    const first = await get();
    assert.ok(new X509Certificate(first.chain).checkPrivateKey(createPrivateKey(first.key)));
    // By the clock that timers go by, and some minutes later than the signer says.
    const inMs = (certificates.refreshAtMs(pod.metadata.uid) ?? 0) - systemClock.monotonic();
    assert.ok(inMs > 0.9 * HOUR_MS && inMs < 1.1 * HOUR_MS, `${inMs} ms`);
    // The old one serves until the new one, of another key, is there.
    move(2 * HOUR_MS);
    assert.equal(await get(), first);
    assert.equal(await get(), first);
    assert.is((await requests()).length, 2);
    // The pod hears once that it is late, and will hear that it has expired.
    assert.equal(events, ['CertificateOverdueForRefresh PodCertificate refresh overdue']);
    const leftMs = (certificates.refreshAtMs(pod.metadata.uid) ?? 0) - systemClock.monotonic();
    assert.ok(leftMs > 0.9 * HOUR_MS && leftMs <= HOUR_MS, `${leftMs} ms`);
    move(HOUR_MS);
    assert.equal(await get(), first);
    assert.is(events[1], 'CertificateExpired PodCertificate expired');
    assert.is(certificates.refreshAtMs(pod.metadata.uid), undefined);
    move(-HOUR_MS);
    await decide(await issued(await pending(), 2 * HOUR_MS));
    const second = await get();
    assert.is.not(second.key, first.key);
    assert.ok(new X509Certificate(second.chain).checkPrivateKey(createPrivateKey(second.key)));
    assert.is((await requests()).length, 2);
  });

  test('a request that somebody removes is made again; one that is denied is not', async () => {
    const { client, get, decide, pending, requests, events, changed } = await start();
    await rejects(get());
    await client.remove(REQUESTS, (await pending()).metadata);
    await eventually(async () => changed.length > 0);
    await rejects(get());
    const conditions = [
      {
        type: 'Denied',
        status: 'True',
        reason: 'UnsupportedKeyType',
        message: 'use RSA',
        lastTransitionTime: new Date().toISOString(),
      },
    ];
    await decide({ conditions });
    const denied = /permanently denied: reason="UnsupportedKeyType" message="use RSA"/;
    assert.match(String(await rejects(get())), denied);
    assert.is((await requests()).length, 1);
    assert.match(
      events.join('\n'),
      /^Denied PodCertificateRequest default\/req-\S+ was denied, reason="UnsupportedKeyType", message="use RSA"$/,
    );
  });

  test('a node asks for its own pods only and sees only its own requests; a signer needs the right', async () => {
    const { plane, node, get, pending } = await start();
    await rejects(get());
    const asked = await pending();
    const draft = async (spec: object, client = node) => {
      const body = { ...asked, metadata: { namespace: 'default', name: 'x' }, status: {} };
      const whole = { ...body, spec: { ...asked.spec, ...spec } } as never;
      return String(await rejects(client.create(REQUESTS, whole)));
    };
    const { request } = await makePodKey('ECDSAP256');
    request[request.length - 1] = (request.at(-1) ?? 0) ^ 1;
    assert.match(
      await draft({ nodeName: 'node2' }),
      /can only create PodCertificateRequests for pods on itself/,
    );
    assert.match(await draft({ podUID: 'other' }), /does not run on node "node1"/);
    assert.match(await draft({ serviceAccountUID: 'other' }), /does not run as service account/);
    assert.match(
      await draft({ stubPKCS10Request: request.toString('base64') }),
      /its signature does not match its key/,
    );
    const other = plane.as({ name: 'system:node:node2', groups: ['system:nodes'] });
    assert.match(await draft({}, other), /pods on itself/);
    assert.match(
      String(await rejects(other.get(REQUESTS, asked.metadata))),
      /no relationship found/,
    );
    assert.match(String(await rejects(node.list(REQUESTS))), /no relationship found/);
    const status = await issued(asked);
    assert.match(
      String(await rejects(node.updateStatus(REQUESTS, { ...asked, status } as never))),
      /no relationship found/,
    );
    const { certificateChain: _, ...rest } = status;
    const incomplete = plane.client.updateStatus(REQUESTS, { ...asked, status: rest } as never);
    assert.match(String(await rejects(incomplete)), /status.certificateChain: Required value/);
  });
});

/** The status that a signer writes. */
async function issued({ spec }: PodCertificateRequest, fromMs = 0) {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const notBefore = Math.floor((Date.now() + fromMs) / 1000) * 1000;
  const notAfter = notBefore + 3 * HOUR_MS;
  const stub = toPem('CERTIFICATE REQUEST', Buffer.from(spec.stubPKCS10Request, 'base64'));
  const { publicKey } = await parseCsr(stub);
  const own = { commonName: 'ca', organizations: [] };
  const at = { notBefore, notAfter };
  const certificate = await issueCertificate(
    { subject: own, publicKey: spkiOf(key), usages: ['ca'], ...at },
    { key },
  );
  const subject = { commonName: spec.podName, organizations: [] };
  const text = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  return {
    certificateChain: await issueCertificate(
      { subject, publicKey, usages: ['client'], ...at },
      { certificate, key },
    ),
    notBefore: text(notBefore),
    notAfter: text(notAfter),
    beginRefreshAt: text(notBefore + HOUR_MS),
    conditions: [
      {
        type: 'Issued',
        status: 'True',
        reason: 'Test',
        message: '',
        lastTransitionTime: text(notBefore),
      },
    ],
  };
}
