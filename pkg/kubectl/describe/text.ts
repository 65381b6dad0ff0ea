/**
 * The text of `kubectl describe` before its columns are aligned: cells are separated by tabs, and a form feed ends the
 * lines that are aligned with each other. Source: kubectl pkg/describe/describe.go.
 */

import type { ObjectMeta } from '../../api/meta.ts';
import { aligned } from '../output/tab-writer.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** Longer annotations are cut. */
const ANNOTATION_MAX = 140;

export type Labels = Readonly<Record<string, string>>;

/** Aligns the columns of a description. */
export function rendered(text: string): string {
  return text
    .split('\f')
    .map((part) => {
      const lines = part.replace(/\n$/, '').split('\n');
      const rows = lines.map((line) => line.split('\t'));
      return part === '' ? '' : aligned(rows, { minWidth: 0, padding: 2 });
    })
    .join('');
}

/** `Title:` and one pair a line. */
export function labelLines(title: string, labels: Labels | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return listLines(title, pairs.sort());
}

/** `Title:` and one text a line, `<none>` without any. */
export function listLines(title: string, items: readonly string[]): string {
  return `${title}:\t${items.length > 0 ? items.join('\n\t') : '<none>'}\n`;
}

/** `Annotations:` with those that are long or of several lines on lines of their own. */
export function annotationLines(annotations: Labels | undefined): string {
  const keys = Object.keys(annotations ?? {}).filter((key) => key !== LAST_APPLIED);
  const texts = keys.sort().map((key) => {
    const value = (annotations?.[key] ?? '').replace(/\n$/, '');
    const isShort = value.length + key.length + 2 <= ANNOTATION_MAX && !value.includes('\n');
    if (isShort) return `${key}: ${value}\n`;
    const lines = value.split('\n').map((line) => `\t  ${shortened(line)}\n`);
    return `${key}:\n${lines.join('')}`;
  });
  return `Annotations:\t${texts.length > 0 ? texts.join('\t') : '<none>\n'}`;
}

function shortened(line: string): string {
  const most = ANNOTATION_MAX - 2;
  return line.length > most ? `${line.slice(0, most)}...` : line;
}

/** The lines that begin most descriptions. */
export function metaLines({ name, namespace = '', labels, annotations }: ObjectMeta): string {
  return `Name:\t${name}\nNamespace:\t${namespace}\n${labelLines('Labels', labels)}${annotationLines(annotations)}`;
}

/** A time as Go's RFC1123Z in the zone of this host. */
export function timeText(timestamp: string | undefined): string {
  if (!timestamp) return '<unset>';
  const at = new Date(timestamp);
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000);
  const pad = (value: number) => String(Math.abs(Math.trunc(value))).padStart(2, '0');
  const zone = `${offset < 0 ? '-' : '+'}${pad(offset / 60)}${pad(offset % 60)}`;
  return local.toUTCString().replace('GMT', zone);
}

/** The text, or kubectl's word for none. */
export function orNone(text: string | undefined): string {
  return text ? text : '<none>';
}
