/**
 * Debian's nft with all that it needs to run on any host: its libraries and their loader, fetched from the Debian
 * mirror of this machine into .cache/nft-<arch>-<version>. It is a program of its own (GPL-2) that mini starts.
 */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** nft and the packages of the libraries that `ldd` shows. */
const PACKAGES = [
  'nftables',
  'libnftables1',
  'libnftnl11',
  'libmnl0',
  'libxtables12',
  'libjansson4',
  'libgmp10',
  'libedit2',
  'libbsd0',
  'libmd0',
  'libtinfo6',
  'libc6',
];
const LIBRARIES = [
  'libnftables.so.1',
  'libnftnl.so.11',
  'libmnl.so.0',
  'libxtables.so.12',
  'libjansson.so.4',
  'libgmp.so.10',
  'libedit.so.2',
  'libbsd.so.0',
  'libmd.so.0',
  'libtinfo.so.6',
  'libc.so.6',
];
const LOADERS = { amd64: 'ld-linux-x86-64.so.2', arm64: 'ld-linux-aarch64.so.1' };
/** Name in the payload and of the loader in it. Sync with cmd/assets.ts. */
const FOLDER = 'nft';
/** Raise it when PACKAGES change. */
const CACHE_VERSION = 1;

/** What is laid out beside the program: name in the payload -> file. Fetches the packages when they are not here. */
export function carryNft({ root, arch }) {
  const tree = fetched(root, arch);
  const triplet = arch === 'amd64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu';
  const find = (name) => {
    const places = [`lib/${triplet}`, `usr/lib/${triplet}`].map((dir) => join(tree, dir, name));
    const found = places.find((path) => existsSync(path));
    if (!found) throw new Error(`${name} is in none of the packages ${PACKAGES.join(' ')}`);
    return realpathSync(found);
  };
  return {
    [`${FOLDER}/nft`]: join(tree, 'usr/sbin/nft'),
    [`${FOLDER}/ld.so`]: find(LOADERS[arch]),
    ...Object.fromEntries(LIBRARIES.map((name) => [`${FOLDER}/${name}`, find(name)])),
  };
}

/** The copyright of each package, with the version whose source Debian keeps. */
export function nftNotices({ root, arch }) {
  const tree = fetched(root, arch);
  const versions = JSON.parse(readFileSync(join(tree, 'versions.json'), 'utf8'));
  return PACKAGES.map((name) => {
    const text = readFileSync(join(tree, 'usr/share/doc', name, 'copyright'), 'utf8');
    const source = `source: https://snapshot.debian.org/binary/${name}/`;
    return `${name} ${versions[name]} (Debian, unchanged; ${source})\n\n${text}`;
  });
}

function fetched(root, arch) {
  const tree = join(root, `.cache/nft-${arch}-${CACHE_VERSION}`);
  if (existsSync(tree)) return tree;
  const draft = `${tree}.${process.pid}`;
  mkdirSync(join(draft, 'debs'), { recursive: true });
  const wanted = PACKAGES.map((name) => `${name}:${arch}`);
  run('apt-get', ['download', '-q', ...wanted], join(draft, 'debs'), arch);
  const versions = {};
  for (const file of readdirSync(join(draft, 'debs'))) {
    run('dpkg-deb', ['-x', join('debs', file), '.'], draft, arch);
    const [name, version] = file.split('_');
    versions[name] = decodeURIComponent(version);
  }
  rmSync(join(draft, 'debs'), { recursive: true });
  writeFileSync(join(draft, 'versions.json'), JSON.stringify(versions));
  try {
    renameSync(draft, tree);
  } catch (error) {
    // Another build was sooner.
    rmSync(draft, { recursive: true });
    if (!existsSync(tree)) throw error;
  }
  return tree;
}

function run(command, args, cwd, arch) {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status === 0) return;
  const hint =
    arch === 'arm64'
      ? 'run `dpkg --add-architecture arm64 && apt-get update` first'
      : 'run `apt-get update` first';
  throw new Error(
    `cannot fetch Debian's nft for ${arch} (${hint}): ${command}: ${stderr || error?.message}`,
  );
}
