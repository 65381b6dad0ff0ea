/** What pods are told of whom to trust, and the certificates that a signer makes for them. */

import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import * as assert from 'uvu/assert';
import type { PodCertificateRequest } from '../../pkg/api/generated/types.ts';
import { pemBlocks, toPem } from '../../pkg/api/pem.ts';
import { type Authority, issueCertificate, spkiOf } from '../../pkg/pki/certificate.ts';
import { parseCsr } from '../../pkg/pki/csr.ts';
import { BUSYBOX, type Cluster, clusterOf, SharedCluster } from '../harness/cluster.ts';
import { suite } from '../harness/suite.ts';

const TIMEOUT_MS = 120_000;

const pod = (name: string, sources: readonly object[]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: 't', projected: { sources } }],
    containers: [
      {
        name: 'c',
        image: BUSYBOX,
        command: ['sleep', '1000'],
        volumeMounts: [{ name: 't', mountPath: '/t' }],
      },
    ],
  },
});

const trustBundle = (name: string, trustBundle: string, signerName?: string) => ({
  apiVersion: 'certificates.k8s.io/v1beta1',
  kind: 'ClusterTrustBundle',
  metadata: { name },
  spec: { trustBundle, ...(signerName ? { signerName } : {}) },
});

async function authority(name: string): Promise<Authority> {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [notBefore, notAfter] = [Date.now() - 60_000, Date.now() + 86_400_000];
  const subject = { commonName: name, organizations: [] };
  const options = { subject, publicKey: spkiOf(key), usages: ['ca'], notBefore, notAfter } as const;
  return { key, certificate: await issueCertificate(options, { key }) };
}

/** The certificates of a text in PEM, in an order of their own. */
function certificatesIn(text: string): readonly string[] {
  return [...new Set(pemBlocks(text).map(({ der }) => der.toString('hex')))].sort();
}

/** Issues the one certificate that is asked for, as a signer does. */
async function sign(cluster: Cluster, issuer: Authority | undefined): Promise<void> {
  if (!issuer) throw new Error('no issuer');
  const text = await cluster.kubectl('get', 'podcertificaterequests', '-o', 'json');
  const [request] = JSON.parse(text).items as readonly [PodCertificateRequest];
  assert.is(request.spec.podName, 'trusting');
  const stub = toPem('CERTIFICATE REQUEST', Buffer.from(request.spec.stubPKCS10Request, 'base64'));
  const notBefore = Math.floor(Date.now() / 1000) * 1000;
  const [notAfter, beginRefreshAt] = [notBefore + 7_200_000, notBefore + 3_600_000];
  const { publicKey } = await parseCsr(stub);
  const subject = { commonName: request.spec.podName, organizations: [] };
  const options = { subject, publicKey, notBefore, notAfter, usages: ['client'] } as const;
  const at = (timeMs: number) => `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
  const status = {
    certificateChain: `some text\n${await issueCertificate(options, issuer)}`,
    notBefore: at(notBefore),
    notAfter: at(notAfter),
    beginRefreshAt: at(beginRefreshAt),
    conditions: [
      {
        type: 'Issued',
        status: 'True',
        reason: 'Test',
        message: '',
        lastTransitionTime: at(notBefore),
      },
    ],
  };
  await cluster.kubectl(
    ...['patch', 'podcertificaterequest', request.metadata.name, '--subresource=status'],
    ...['--type=merge', '-p', JSON.stringify({ status })],
  );
}

suite('e2e/pod-certificates', ({ test }) => {
  const shared = new SharedCluster(() => clusterOf(1));

  test(
    'trust bundles by name and by signer, and certificates of pods, made by whoever signs them',
    async () => {
      const cluster = await shared.get();
      const authorities = await Promise.all(['one', 'two'].map((name) => authority(name)));
      const [one, two] = authorities.map(({ certificate }) => certificate);
      if (one === undefined || two === undefined) throw new Error('no authorities');
      const signer = 'example.com/test';
      const own = (name: string) => ({ signerName: signer, path: name });
      const certificate = {
        signerName: signer,
        keyType: 'ECDSAP256',
        credentialBundlePath: 'credentials.pem',
        certificateChainPath: 'chain.pem',
      };
      const sources = [
        { clusterTrustBundle: { name: 'plain', path: 'plain' } },
        { clusterTrustBundle: { ...own('signer'), labelSelector: {} } },
        { clusterTrustBundle: { ...own('none'), optional: true } },
        { podCertificate: certificate },
      ];
      await cluster.apply(pod('trusting', sources));
      const told = (pattern: RegExp) =>
        cluster.until(`${pattern}`, async () => {
          const text = await cluster.kubectl('describe', 'pod/trusting');
          if (pattern.test(text)) return true;
          throw new Error(text);
        });
      await told(/FailedMount.*clustertrustbundle.certificates.k8s.io "plain" not found/);
      await cluster.apply(
        trustBundle('plain', one),
        trustBundle('example.com:test:a', `${one}${two}`, signer),
        trustBundle('example.com:test:b', two, signer),
      );
      // Nobody signs: the pod waits. Then the test does, as a node has asked.
      await told(/FailedMount.*credential bundle is not issued yet/);
      const wrong = JSON.stringify(trustBundle('x', one, signer));
      const { stderr } = await cluster.try(['create', '-f', '-'], { input: wrong });
      assert.match(stderr, /must be named with prefix example.com:test:/);
      await sign(cluster, authorities[0]);
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/trusting', '--timeout=60s');
      const read = (path: string) => cluster.kubectl('exec', 'trusting', '--', 'cat', `/t/${path}`);
      assert.is(await read('plain'), one);
      assert.equal(certificatesIn(await read('signer')), certificatesIn(`${one}${two}`));
      assert.is(await read('none'), '');
      const chain = await read('chain.pem');
      const bundle = await read('credentials.pem');
      assert.is(bundle.slice(bundle.indexOf('-----BEGIN CERTIFICATE')), chain);
      const leaf = new X509Certificate(chain);
      const { publicKey } = new X509Certificate(one);
      assert.ok(leaf.checkPrivateKey(createPrivateKey(bundle)) && leaf.verify(publicKey));
      await cluster.apply(trustBundle('plain', two));
      await cluster.until('the new bundle', async () => (await read('plain')) === two);
      // The request goes with its pod.
      await cluster.kubectl('delete', 'pod', 'trusting');
      await cluster.until('no request', async () =>
        /No resources/.test((await cluster.try(['get', 'podcertificaterequests'])).stderr),
      );
    },
    TIMEOUT_MS,
  );

  test('nothing is left behind', () => shared.close(), TIMEOUT_MS);
});
