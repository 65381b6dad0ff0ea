/** Descriptions of kinds without a form of their own: every field; ConfigMaps and Secrets: what they hold. */

import { isObject } from '../../api/json.ts';
import type { Api, Live } from '../api.ts';
import { eventLines } from './events.ts';
import { metaLines, rendered } from './text.ts';

const SHOWN_ABOVE = ['name', 'namespace', 'labels', 'annotations', 'managedFields'];
const ACRONYMS = ['API', 'URL', 'UID', 'OSB', 'GUID'];

/** Describes any object; not aligned yet. */
export async function describeGeneric(api: Api, object: Live): Promise<string> {
  const metadata = Object.fromEntries(
    Object.entries(object.metadata).filter(([key]) => !SHOWN_ABOVE.includes(key)),
  );
  const body = fieldLines({ ...object, metadata }, '');
  return `${metaLines(object.metadata)}${body}${await eventLines(api, object)}`;
}

/** Describes a ConfigMap; its texts are printed as they are. */
export async function describeConfigMap(api: Api, object: Live): Promise<string> {
  const data = isObject(object['data']) ? object['data'] : {};
  const binary = isObject(object['binaryData']) ? object['binaryData'] : {};
  const texts = Object.keys(data)
    .sort()
    .map((key) => `${key}:\n----\n${data[key]}\n\n`);
  const sizes = Object.keys(binary)
    .sort()
    .map((key) => `${key}: ${byteCount(binary[key])} bytes\n`);
  const head = rendered(metaLines(object.metadata));
  const parts = [head, '\nData\n====\n', ...texts, '\nBinaryData\n====\n', ...sizes, '\n'];
  return asIs(parts.join('')) + (await eventLines(api, object));
}

/** Describes a Secret without telling it. */
export async function describeSecret(_api: Api, object: Live): Promise<string> {
  const data = isObject(object['data']) ? object['data'] : {};
  const sizes = Object.keys(data)
    .sort()
    .map((key) => `${key}:\t${byteCount(data[key])} bytes\n`);
  return `${metaLines(object.metadata)}\nType:\t${object['type'] ?? ''}\n\nData\n====\n${sizes.join('')}`;
}

function byteCount(base64: unknown): number {
  return Buffer.from(String(base64), 'base64').length;
}

/** Text that must not be aligned once more: its tabs are its own. */
function asIs(text: string): string {
  return `${text.replaceAll('\t', '        ')}\f`;
}

function fieldLines(object: Readonly<Record<string, unknown>>, indent: string): string {
  return Object.keys(object)
    .sort()
    .map((key) => fieldLine(labelOf(key), object[key], indent))
    .join('');
}

function fieldLine(label: string, value: unknown, indent: string): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) =>
      isObject(item) ? fieldLines(item, deeper) : `${deeper}${item}\n`,
    );
    return `${indent}${label}:\n${items.join('')}`;
  }
  if (isObject(value)) return `${indent}${label}:\n${fieldLines(value, deeper)}`;
  return `${indent}${label}:\t${value === null ? '<nil>' : String(value)}\n`;
}

/** `creationTimestamp` is `Creation Timestamp`. */
function labelOf(field: string): string {
  const words = field.split(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+/);
  return words
    .filter(Boolean)
    .map((word) => {
      const upper = word.toUpperCase();
      return ACRONYMS.includes(upper) ? upper : word.charAt(0).toUpperCase() + word.slice(1);
    })
    .join(' ');
}
