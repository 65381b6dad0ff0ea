/** `$(NAME)` references in env values, command and args, as Kubernetes expands them. */

const REFERENCE = /\$(\$|\(([^)]*)\))/g;

/** Replaces `$(NAME)` by the variable's value; `$$` is a dollar sign; unknown names stay as they are. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(REFERENCE, (whole, escaped: string, name?: string) => {
    if (escaped === '$') return '$';
    return variables.get(name ?? '') ?? whole;
  });
}

/** The names that a text refers to and that have no value, in order. */
export function missingIn(text: string, variables: ReadonlyMap<string, string>): readonly string[] {
  const names = [...text.matchAll(REFERENCE)].flatMap(([, , name]) => name ?? []);
  return [...new Set(names.filter((name) => !variables.get(name)))].sort();
}
