/** What --runtime takes. */

export interface NamedRuntime {
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** The helper itself. */
const OWN_NAME = 'mini';

/** Why the value is wrong; undefined when it is right. */
export function isRuntime(value: string): string | undefined {
  const { name, path } = parseRuntime(value);
  if (!NAME.test(name) || !path.startsWith('/'))
    return 'it must be a name and an absolute path, such as runc=/usr/sbin/runc or runsc=/usr/bin/runsc,--debug';
  return name === OWN_NAME ? `"${OWN_NAME}" is mini's own runtime: choose another name` : undefined;
}

/** `name=path[,arg...]`. */
export function parseRuntime(value: string): NamedRuntime {
  const at = value.indexOf('=');
  const [path = '', ...args] = value.slice(at + 1).split(',');
  return { name: value.slice(0, Math.max(at, 0)), path, args };
}
