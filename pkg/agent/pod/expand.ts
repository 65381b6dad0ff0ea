/** `$(NAME)` references in env values, command and args, as Kubernetes expands them. */

/** Replaces `$(NAME)` by the variable's value; `$$` is a dollar sign; unknown names stay as they are. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(\$|\(([^)]*)\))/g, (whole, escaped: string, name?: string) => {
    if (escaped === '$') return '$';
    return variables.get(name ?? '') ?? whole;
  });
}
