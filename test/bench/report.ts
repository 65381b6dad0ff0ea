/** What a probe of the bench prints, one JSON line for each figure, and how `npm run bench` shows it. */

import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** What it is to be compared with, or what it is made of. */
  readonly note?: string;
}

/** For a probe: hands a figure to the process that shows it. */
export function print(figure: Figure): void {
  process.stdout.write(`${JSON.stringify({ ...figure, value: rounded(figure.value) })}\n`);
}

/** The figures among the lines that a probe printed. */
export function figuresOf(output: string): Figure[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Figure);
}

export function isMissed({ value, atMost, atLeast }: Figure): boolean {
  return (
    Number.isNaN(value) ||
    value > (atMost ?? Number.POSITIVE_INFINITY) ||
    value < (atLeast ?? Number.NEGATIVE_INFINITY)
  );
}

/** One line for each figure: verdict, name, value, goal, note. */
export function formatFigures(title: string, figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    verdictOf(figure),
    figure.name,
    `${figure.value} ${figure.unit}`.trim(),
    goalOf(figure),
    figure.note ?? '',
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function verdictOf(figure: Figure): string {
  if (figure.atMost === undefined && figure.atLeast === undefined) return '';
  return isMissed(figure) ? 'MISSED' : 'ok';
}

function goalOf({ atMost, atLeast }: Figure): string {
  if (atMost !== undefined) return `goal <= ${atMost}`;
  return atLeast === undefined ? '' : `goal >= ${atLeast}`;
}

/** Figures mean little without these. */
export function machineFacts(): string {
  const [cpu] = cpus();
  const memoryGb = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} cores (${cpu?.model.trim()}), ${memoryGb} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Load over the last minute, and the share of the last ten seconds in which something waited for a core. */
export function load(): string {
  const [minute = 0] = loadavg();
  return `load ${minute.toFixed(1)}${pressure()}`;
}

function pressure(): string {
  try {
    const share = /^some avg10=([\d.]+)/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1];
    return share === undefined ? '' : `, tasks waited for a core ${share} % of the time`;
  } catch {
    return ''; // A kernel without pressure information.
  }
}

function rounded(value: number): number {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return Number(value.toFixed(digits));
}
