/** Types of generate.mjs for the code that calls it. */

export function generate(): void;
export function typesSource(table: Readonly<Record<string, unknown>>): string;
export function typeNames(
  table: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>>;
