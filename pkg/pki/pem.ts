/** PEM armour around DER bytes. */

const LINE_CHARS = 64;

/** Wraps DER in PEM with this label, e.g. `CERTIFICATE`. */
export function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The DER inside the first PEM block with this label. Throws when there is none. */
export function pemToDer(pem: string, label: string): Buffer {
  const begin = `-----BEGIN ${label}-----`;
  const start = pem.indexOf(begin);
  const end = pem.indexOf(`-----END ${label}-----`, start + 1);
  if (start < 0 || end < 0) throw new Error(`no PEM block ${label} found`);
  return Buffer.from(pem.slice(start + begin.length, end), 'base64');
}
