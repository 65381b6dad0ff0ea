/**
 * Environment files of containers (fileKeyRef): `NAME='value'` lines, as shells have them. Values stand in single
 * quotes and may go over several lines; blank lines and those that begin with # are passed over.
 */

const NAME = /^[ \t]*([A-Za-z_][A-Za-z0-9_]*)='/;

/** Variables by name; the last of a name wins. Throws an Error that names the line that is none. */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (/^[ \t]*(#.*)?\r?$/.test(line)) continue;
    const [start, name] = NAME.exec(line) ?? [];
    if (start === undefined || name === undefined) throw wrong(at, "it is not NAME='value'");
    let value = line.slice(start.length);
    const first = at;
    while (!value.includes("'")) {
      at += 1;
      if (at >= lines.length) throw wrong(first, 'its quote is not closed');
      value += `\n${lines[at]}`;
    }
    const end = value.indexOf("'");
    if (!/^[ \t]*(#.*)?\r?$/.test(value.slice(end + 1)))
      throw wrong(at, 'something follows the value');
    found.set(name, value.slice(0, end));
  }
  return found;
}

function wrong(at: number, why: string): Error {
  return new Error(`line ${at + 1}: ${why}`);
}
