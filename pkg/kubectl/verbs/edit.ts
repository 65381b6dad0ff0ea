/** `kubectl edit`: opens objects in an editor and sends what was changed. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatusError } from '../../api/errors.ts';
import { isEqual, isObject } from '../../api/json.ts';
import type { Live } from '../api.ts';
import { CHOICE_FLAGS, choosePlaces, type NamedPlace } from '../choose.ts';
import { statusText } from '../error-text.ts';
import { decodeText } from '../files.ts';
import { KubectlError } from '../kubectl-error.ts';
import { jsonText } from '../output/json.ts';
import { nameText } from '../output/output.ts';
import { yamlText } from '../output/yaml.ts';
import { sendPatch } from '../patching.ts';
import type { Call, Verb } from '../verb.ts';

const HINT = `# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
`;

export const edit: Verb = {
  name: 'edit',
  summary: 'Edit a resource from the default editor.',
  usage: 'edit (-f FILENAME | TYPE NAME) [flags]',
  examples: ['KUBE_EDITOR=nano mini kubectl edit deployment web'],
  flags: [
    ...CHOICE_FLAGS,
    {
      name: 'output',
      short: 'o',
      type: 'text',
      default: 'yaml',
      choices: ['yaml', 'json'],
      help: 'The form in which the object is edited.',
    },
    { name: 'subresource', type: 'text', help: 'The subresource to edit.' },
    {
      name: 'show-managed-fields',
      type: 'switch',
      help: 'If true, keep the managedFields of the object.',
    },
  ],
  async run(call) {
    const { args, io } = call;
    const places = await choosePlaces({ api: call.api(), args, io, verb: 'edit' });
    const subresource = args.optional('subresource');
    for (const place of places)
      await editOne(call, subresource ? { ...place, subresource } : place);
    return 0;
  },
};

async function editOne(call: Call, place: NamedPlace): Promise<void> {
  const { args, io } = call;
  const api = call.api();
  const original = bare(await api.get<Live>(place), args.isSet('show-managed-fields'));
  const format = args.text('output');
  const write = (object: unknown) => (format === 'json' ? jsonText(object) : yamlText(object));
  const directory = mkdtempSync(join(tmpdir(), 'mini-edit-'));
  const file = join(directory, `${place.kind.kind}-${place.name}.${format}`);
  let text = write(original);
  let problem = '';
  try {
    for (;;) {
      const given = (format === 'json' ? '' : HINT + problem) + text;
      writeFileSync(file, given, { mode: 0o600 });
      await runEditor(call, file);
      const edited = withoutComments(readFileSync(file, 'utf8'), format);
      if (edited.trim() === '') return cancelled(io, 'saved file was empty');
      if (edited === text)
        return problem
          ? fail('Edit cancelled, no valid changes were saved.')
          : cancelled(io, 'no changes made');
      const result = await save(call, place, { original, edited });
      if (result.problem === undefined) {
        io.stdout.write(result.done);
        return;
      }
      problem = commented(result.problem);
      text = edited;
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function runEditor({ io }: Call, file: string): Promise<void> {
  const command = process.env['KUBE_EDITOR'] || process.env['EDITOR'] || 'vi';
  if (!io.runEditor) throw new KubectlError('no editor can be started here');
  const code = await io.runEditor(command, file);
  if (code !== 0) throw new KubectlError(`there was a problem with the editor "${command}"`);
}

interface Edit {
  readonly original: Live;
  readonly edited: string;
}

/** Sends the difference; tells why it cannot be sent or was refused, so that the user can mend it. */
async function save(
  { args, api: open }: Call,
  place: NamedPlace,
  { original, edited }: Edit,
): Promise<{ readonly problem?: string; readonly done: string }> {
  let object: Live;
  try {
    const [read, ...others] = decodeText(edited, 'the edited file');
    if (!read || others.length > 0) return { problem: 'exactly one object is needed', done: '' };
    object = read.object as unknown as Live;
  } catch (error) {
    if (!(error instanceof KubectlError)) throw error;
    return { problem: error.message, done: '' };
  }
  const isSame =
    object.metadata.name === original.metadata.name &&
    object.metadata.namespace === original.metadata.namespace &&
    object.kind === original.kind &&
    object.apiVersion === original.apiVersion;
  if (!isSame)
    return { problem: 'At least one of apiVersion, kind and name was changed', done: '' };
  const body = difference(original, object);
  if (body === undefined) return { done: 'Edit cancelled, no changes made.\n' };
  try {
    const manager = 'kubectl-edit';
    const after = await sendPatch({ api: open(), args }, place, { type: 'merge', body, manager });
    return { done: `${nameText(after)} edited\n` };
  } catch (error) {
    if (error instanceof StatusError && error.reason !== 'NotFound')
      return { problem: statusText(error), done: '' };
    throw error;
  }
}

/** A JSON merge patch from one value to the other; undefined when they are the same. */
export function difference(from: unknown, to: unknown): unknown {
  if (isEqual(from, to)) return undefined;
  if (!isObject(from) || !isObject(to)) return to;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (isEqual(from[key], to[key])) continue;
    patch[key] = Object.hasOwn(to, key) ? difference(from[key], to[key]) : null;
  }
  return patch;
}

function bare(object: Live, keepsManagedFields: boolean): Live {
  if (keepsManagedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function withoutComments(text: string, format: string): string {
  if (format === 'json') return text;
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
}

function commented(problem: string): string {
  return `${problem
    .split('\n')
    .map((line) => `# ${line}\n`)
    .join('')}#\n`;
}

function cancelled(io: Call['io'], why: string): void {
  io.stderr.write(`Edit cancelled, ${why}.\n`);
}

function fail(message: string): never {
  throw new KubectlError(message);
}
