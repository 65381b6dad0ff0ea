/** The order of keys in Go's yaml.v2: letters after all else, runs of digits as numbers. Source: yaml.v2 sorter.go. */

const LETTER = /\p{L}/u;
const DIGIT = /\d/;

/** Compares two keys of a mapping. */
export function compareKeys(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  const shorter = Math.min(left.length, right.length);
  for (let index = 0; index < shorter; index += 1) {
    const x = left[index] ?? '';
    const y = right[index] ?? '';
    if (x !== y) return compareAt({ left, right, index });
  }
  return left.length - right.length;
}

function compareAt({
  left,
  right,
  index,
}: {
  left: string[];
  right: string[];
  index: number;
}): number {
  const x = left[index] ?? '';
  const y = right[index] ?? '';
  const isLetter = [LETTER.test(x), LETTER.test(y)];
  if (isLetter[0] && isLetter[1]) return x < y ? -1 : 1;
  if (isLetter[0] || isLetter[1]) return isLetter[1] ? -1 : 1;
  const numbers = [digits(left, index), digits(right, index)] as const;
  const difference = Number(numbers[0] || 0) - Number(numbers[1] || 0);
  if (difference !== 0) return difference;
  if (numbers[0].length !== numbers[1].length) return numbers[0].length - numbers[1].length;
  return x < y ? -1 : 1;
}

function digits(characters: readonly string[], from: number): string {
  let end = from;
  while (DIGIT.test(characters[end] ?? '')) end += 1;
  return characters.slice(from, end).join('');
}
