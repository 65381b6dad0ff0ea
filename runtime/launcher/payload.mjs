/** Puts the outer executable together: the payload's archive and the file's layout. Called by build.mjs. */

import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** A ustar archive of plain files, reproducible: no times, no owners. Sync with runtime/launcher/launcher.c. */
export function archive(files) {
  const parts = [];
  for (const [name, path] of Object.entries(files)) {
    const data = readFileSync(path);
    const header = Buffer.alloc(512);
    const octal = (value, at, length) =>
      header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
    header.write(name);
    octal(statSync(path).mode & 0o111 || name === 'mini' ? 0o755 : 0o644, 100, 8);
    octal(0, 108, 8);
    octal(0, 116, 8);
    octal(data.length, 124, 12);
    octal(0, 136, 12);
    header.write('        ', 148);
    header.write('0ustar\x0000', 156);
    header.write('ustar\x0000', 257);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    parts.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Launcher, compressed payload, trailer. Sync with struct trailer in runtime/launcher/launcher.c. */
export function assemble(launcher, payload, out) {
  const stub = readFileSync(launcher);
  const trailer = Buffer.alloc(40);
  trailer.write('MINIPAY1');
  trailer.writeBigUInt64LE(BigInt(stub.length), 8);
  trailer.writeBigUInt64LE(BigInt(payload.length), 16);
  trailer.write(createHash('sha256').update(payload).digest('hex').slice(0, 16), 24);
  rmSync(out, { force: true });
  writeFileSync(out, Buffer.concat([stub, payload, trailer]), { mode: 0o755 });
}
