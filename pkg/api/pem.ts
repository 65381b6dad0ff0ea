/** PEM text: its blocks, read and written. */

const BLOCK = /-----BEGIN ([^-\n]+)-----\n([\s\S]*?)-----END \1-----/g;
const LINE_CHARS = 64;

export interface PemBlock {
  /** E.g. 'CERTIFICATE'. */
  readonly label: string;
  readonly hasHeaders: boolean;
  readonly der: Buffer;
}

/** The blocks of a text, whatever stands between them. */
export function pemBlocks(text: string): readonly PemBlock[] {
  return [...text.replaceAll('\r\n', '\n').matchAll(BLOCK)].map(([, label = '', body = '']) => {
    const hasHeaders = body.includes(':');
    const base64 = hasHeaders ? body.slice(body.indexOf('\n\n')) : body;
    return { label, hasHeaders, der: Buffer.from(base64, 'base64') };
  });
}

export function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
