/** Sums up CPU profiles: which part of the project, and which functions, the time went to. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const PARTS_MAX = 12;
const FUNCTIONS_MAX = 12;

/** Readable lines for the main thread of this process, which has ended; empty when it left no profile. */
export function summarizeProfile(title: string, directory: string, pid: number): string {
  // CPU.<date>.<time>.<pid>.<thread>.<number>.cpuprofile
  const name = readdirSync(directory).find(
    (file) => file.split('.').slice(3, 5).join('.') === `${pid}.0`,
  );
  if (name === undefined) return '';
  return summarize(title, JSON.parse(readFileSync(join(directory, name), 'utf8')) as Profile);
}

function summarize(title: string, { nodes, samples, timeDeltas }: Profile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let busyMs = 0;
  samples.forEach((id, index) => {
    const frame = frames.get(id);
    if (!frame || frame.functionName === '(idle)') return;
    const ms = (timeDeltas[index] ?? 0) / 1000;
    busyMs += ms;
    add(parts, partOf(frame.functionName, frame.url), ms);
    const file = frame.url.split('/').at(-1);
    add(functions, `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`, ms);
  });
  const show = (totals: ReadonlyMap<string, number>, most: number) =>
    [...totals]
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, ms]) => `    ${((ms / busyMs) * 100).toFixed(1).padStart(5)} %  ${name}\n`)
      .join('');
  return `\n  ${title}: ${Math.round(busyMs)} ms on its main thread, by part and by function\n${show(parts, PARTS_MAX)}\n${show(functions, FUNCTIONS_MAX)}`;
}

/** A folder of the project, a dependency, Node's own code, or what V8 names itself. */
function partOf(name: string, url: string): string {
  const own = /\/((?:pkg\/[^/]+)|cmd)\//.exec(url)?.[1];
  if (own) return own;
  const dependency = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (dependency) return dependency;
  if (url.startsWith('node:')) return 'node';
  return url === '' && name !== '' && !name.startsWith('(') ? 'native code' : name || '(anonymous)';
}

function add(totals: Map<string, number>, name: string, ms: number): void {
  totals.set(name, (totals.get(name) ?? 0) + ms);
}
