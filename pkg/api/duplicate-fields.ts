/** Finds names that a JSON object has twice: JSON.parse keeps the last and says nothing, Kubernetes reports them. */

/** An open object or list on the way to where the scan is. */
interface Open {
  /** Names seen so far; absent in a list. */
  readonly names?: Set<string>;
  /** Name or index of the value that the scan is in. */
  at: string | number;
}

const QUOTE = '"';
const BACKSLASH = 92;

/** Paths of repeated names in valid JSON, each once, e.g. `spec.containers[0].image`. */
export function duplicateFields(text: string): string[] {
  const open: Open[] = [];
  const found = new Set<string>();
  let isName = false;
  for (let index = 0; index < text.length; index += 1) {
    const inner = open.at(-1);
    switch (text[index]) {
      case '{':
        open.push({ names: new Set(), at: '' });
        isName = true;
        break;
      case '[':
        open.push({ at: 0 });
        break;
      case '}':
      case ']':
        open.pop();
        isName = false;
        break;
      case ',':
        isName = inner?.names !== undefined;
        if (typeof inner?.at === 'number') inner.at += 1;
        break;
      case QUOTE: {
        const end = endOfString(text, index);
        if (isName && inner) enter(inner, text.slice(index, end + 1));
        if (isName && inner && isRepeated(inner)) found.add(pathOf(open));
        isName = false;
        index = end;
        break;
      }
      default:
    }
  }
  return [...found];
}

/** Index of the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf(QUOTE, start + 1);
  while (isEscaped(text, end)) end = text.indexOf(QUOTE, end + 1);
  return end;
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(index - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function enter(object: Open, quoted: string): void {
  object.at = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

/** Whether the object had this name before; remembers it. */
function isRepeated({ names, at }: Open): boolean {
  const name = String(at);
  if (names?.has(name)) return true;
  names?.add(name);
  return false;
}

function pathOf(open: readonly Open[]): string {
  return open
    .map(({ at }, index) => {
      if (typeof at === 'number') return `[${at}]`;
      return index === 0 ? at : `.${at}`;
    })
    .join('');
}
