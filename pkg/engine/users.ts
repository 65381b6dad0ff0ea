/** Users and groups as images name them (`app`, `1000`, `app:www-data`, `1000:1000`), looked up in their own files. */

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

export interface UserFiles {
  /** Text of /etc/passwd; undefined when there is none. */
  readonly passwd: string | undefined;
  readonly group: string | undefined;
}

const MAX_ID = 2 ** 31 - 1;

/** Resolves a user. An empty text is root. Throws when a name is not in the files. */
export function resolveUser(text: string, files: UserFiles): ProcessUser {
  const [user = '', group] = text.split(':', 2);
  const users = rows(files.passwd);
  const groups = rows(files.group);
  const wanted = user === '' ? '0' : user;
  const found = users.find(([name]) => name === wanted) ?? users.find(([, , id]) => id === wanted);
  const uid = found === undefined ? toId(wanted) : toId(found[2]);
  if (uid === undefined) throw new Error(`unable to find user ${wanted}: not in /etc/passwd`);
  const gid = group ? groupId(group, groups) : (toId(found?.[3]) ?? 0);
  if (gid === undefined) throw new Error(`unable to find group ${group}: not in /etc/group`);
  return { uid, gid, additionalGids: group ? [] : memberships(found?.[0], gid, groups) };
}

/** Groups whose lists in /etc/group name the user. */
function memberships(
  name: string | undefined,
  own: number,
  groups: readonly (readonly string[])[],
): readonly number[] {
  if (name === undefined) return [];
  const ids = groups
    .filter(([, , , members = '']) => members.split(',').includes(name))
    .flatMap(([, , id]) => toId(id) ?? []);
  return [...new Set(ids)].filter((id) => id !== own);
}

function groupId(text: string, groups: readonly (readonly string[])[]): number | undefined {
  const found = groups.find(([name]) => name === text);
  return found === undefined ? toId(text) : toId(found[2]);
}

function rows(text: string | undefined): readonly (readonly string[])[] {
  return (text ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.trimEnd().split(':'));
}

function toId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}
