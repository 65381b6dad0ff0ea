/**
 * Each file that server and node keep, truncated, empty, garbage, missing, or with a directory in its place: what reads
 * it goes on, or says which file it is and what to do; and no other file is touched.
 */

import { X509Certificate } from 'node:crypto';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import {
  nodePassword,
  readCredentials,
  writeCredentials,
} from '../../pkg/agent/join/join-files.ts';
import { openImageStore } from '../../pkg/image/store.ts';
import { describe, silent } from '../../pkg/log/log.ts';
import { createNetwork } from '../../pkg/network/network.ts';
import { createAuthority, createKeyPair } from '../../pkg/pki/key-pair.ts';
import { loadServerPki } from '../../pkg/pki/server-pki.ts';
import { loadServerTokens } from '../../pkg/pki/server-tokens.ts';
import { openSqlite } from '../../pkg/store/sqlite.ts';
import { buildImage, dockerArchive } from '../harness/images.ts';
import { suite } from '../harness/suite.ts';
import { fakeUnpacker } from '../unit/image/fake-unpacker.ts';

const NOW = Date.UTC(2026, 10, 22);

type Damage = 'truncated' | 'empty' | 'garbage' | 'missing' | 'directory';

/** Ways of damage. */
const DAMAGES: Readonly<Record<Damage, (path: string) => void>> = {
  truncated: (path) => truncateSync(path, Math.floor(lstatSync(path).size / 2)),
  empty: (path) => truncateSync(path, 0),
  garbage: (path) => writeFileSync(path, Buffer.alloc(300, 0xa7)),
  missing: (path) => rmSync(path),
  directory: (path) => {
    rmSync(path);
    mkdirSync(path);
  },
};
const ALL: readonly Damage[] = ['truncated', 'empty', 'garbage', 'missing', 'directory'];

interface Part {
  readonly name: string;
  /** Opens what is in the directory, making it at first; resolves to what was kept there. */
  open(dir: string): Promise<string>;
  /** By file: damages with which it opens and has kept all, and those with which it begins anew. All others it refuses. */
  readonly files: Readonly<
    Record<string, { readonly same?: readonly Damage[]; readonly anew?: readonly Damage[] }>
  >;
}

const ca = await createAuthority('test-ca', NOW);
const leaf = await createKeyPair(ca, {
  subject: { commonName: 'system:node:a', organizations: ['system:nodes'] },
  usages: ['client'],
  now: NOW,
});

const LEAF = { same: ['missing'] } as const;

const PARTS: readonly Part[] = [
  {
    name: 'keys of the server',
    async open(dir) {
      const pki = await loadServerPki({ dir, names: ['a'], now: NOW });
      const key = pki.serviceAccountKey.publicKey.export({ type: 'spki', format: 'pem' });
      return `${new X509Certificate(pki.ca.certificate).fingerprint256} ${key}`;
    },
    files: {
      'server-ca.crt': {},
      'server-ca.key': {},
      // The certificate says that there was a key: a new one is made for a missing certificate alone.
      'serving-kube-apiserver.crt': LEAF,
      'serving-kube-apiserver.key': {},
      'client-admin.crt': LEAF,
      'client-admin.key': {},
      'service.key': { anew: ['missing'] },
    },
  },
  {
    name: 'tokens',
    open: async (dir) => loadServerTokens({ dir, ca: ca.certificate }).token,
    files: {
      token: { anew: ['missing'] },
      'node-token': { same: ['truncated', 'empty', 'garbage', 'missing'] },
    },
  },
  {
    name: 'store',
    async open(dir) {
      const store = await openSqlite({ file: join(dir, 'state.db'), log: silent });
      try {
        if (store.revision === 0)
          await store.put('/registry/core/configmaps/n/a', () => Buffer.from('kept'));
        return store.get('/registry/core/configmaps/n/a')?.value.toString() ?? 'nothing';
      } finally {
        await store.close();
      }
    },
    files: { 'state.db': { same: [], anew: ['empty', 'missing'] } },
  },
  {
    name: 'images',
    async open(dir) {
      const images = await openImageStore({ dataDir: dir, runtime: fakeUnpacker(), log: silent });
      try {
        if (images.list().length === 0) {
          const built = await buildImage({ tag: 'a:1', layers: [[{ name: 'f', content: 'f' }]] });
          await images.import(Readable.from([await dockerArchive(built)]));
        }
        return images
          .list()
          .map(({ id }) => id)
          .join();
      } finally {
        await images.close();
      }
    },
    files: { 'images/index.json': {} },
  },
  {
    name: 'addresses',
    async open(dir) {
      const runtime = {
        ensureBridge: async () => undefined,
        nft: async () => undefined,
        forgetFlows: async () => undefined,
      };
      const network = await createNetwork({ runtime, dataDir: dir, log: silent });
      await network.setPodCidr('10.42.0.0/24');
      // What an engine says of its sandboxes.
      await network.restore(new Map([['s', '10.42.0.9/24']]));
      return network.addressOf('s') ?? '';
    },
    files: { 'network/addresses.json': { same: ALL } },
  },
  {
    name: 'credentials of the node',
    async open(dir) {
      const cluster = {
        clusterCidr: '10.42.0.0/16',
        serviceCidr: '10.43.0.0/16',
        clusterDns: '10.43.0.10',
        clusterDomain: 'cluster.local',
        servers: [],
      };
      if (readCredentials(dir) === undefined)
        writeCredentials(dir, { ...leaf, ca: ca.certificate, nodeName: 'a', cluster });
      return readCredentials(dir)?.key ?? '';
    },
    files: { 'agent/credentials.json': { same: ['missing'] } },
  },
  {
    name: 'password of the node',
    open: async (dir) => nodePassword(dir),
    files: { 'agent/node-password': { anew: ['empty', 'missing'] } },
  },
];

/** Every file below a directory with its content. */
function contents(dir: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found.set(path, readFileSync(path).toString('base64'));
  }
  return found;
}

/** What came of it: what was kept, or the message of the refusal. */
async function outcomeOf(part: Part, dir: string): Promise<string | Error> {
  try {
    return await part.open(dir);
  } catch (error) {
    return new Error(describe(error));
  }
}

interface Case {
  readonly part: Part;
  readonly file: string;
  readonly damage: Damage;
  /** What the undamaged files keep. */
  readonly kept: string;
  /** Copies of the good files, damaged in this way. */
  readonly dir: string;
}

async function check({ part, file, damage, kept, dir }: Case): Promise<void> {
  const { same = [], anew = [] } = part.files[file] ?? {};
  const what = `${file} ${damage}`;
  const before = contents(dir);
  const outcome = await outcomeOf(part, dir);
  if (same.includes(damage)) {
    assert.is(outcome, kept, what);
    return;
  }
  if (anew.includes(damage)) {
    assert.type(outcome, 'string', what);
    assert.is.not(outcome, '', what);
    return;
  }
  const message = outcome instanceof Error ? outcome.message : `it opened: ${outcome}`;
  assert.ok(message.includes(join(dir, file).replace(/\.\w+$/, '')), `${what}: ${message}`);
  assert.match(message, /restore|remove|[Mm]ove it away/, what);
  assert.equal(contents(dir), before, `${what}: nothing is touched`);
}

suite('damaged state', ({ test, cleanup }) => {
  for (const part of PARTS)
    test(part.name, async () => {
      const top = mkdtempSync(join(tmpdir(), 'mini-damaged-'));
      cleanup(() => rmSync(top, { recursive: true, force: true }));
      const good = join(top, 'good');
      mkdirSync(good);
      const kept = await part.open(good);
      assert.ok(kept);
      for (const file of Object.keys(part.files))
        for (const damage of ALL) {
          const dir = join(top, `${file.replaceAll('/', '-')}-${damage}`);
          cpSync(good, dir, { recursive: true });
          DAMAGES[damage](join(dir, file));
          await check({ part, file, damage, kept, dir });
        }
    });
});
