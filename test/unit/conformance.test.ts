/** The tables of test/conformance: which of our tests holds which name of the conformance suite. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';

const FOLDER = 'test/conformance';
const TABLES = readdirSync(FOLDER).filter((name) => name.endsWith('.tsv'));
/** How many names each table has to have. Source: Kubernetes' conformance.yaml of v1.36. */
const NAMES: Readonly<Record<string, number>> = { 'sig-node.tsv': 106, 'sig-storage.tsv': 91 };

interface Row {
  readonly name: string;
  /** `-` = not yet; the title says why. */
  readonly file: string;
  readonly title: string;
}

function rowsOf(table: string): readonly Row[] {
  const lines = readFileSync(join(FOLDER, table), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', file = '', title = '', ...others] = line.split('\t');
      assert.is(others.length, 0, `${table}: more than three columns: ${line}`);
      assert.ok(name && file && title, `${table}: a column is missing: ${line}`);
      return { name, file, title };
    });
}

/** Titles as they stand in a file: a literal, or a template of which `${…}` may be anything. */
function hasTitle(source: string, title: string): boolean {
  if ([`'`, '`', '"'].some((quote) => source.includes(`${quote}${title}${quote}`))) return true;
  const templates = [...source.matchAll(/test\(\s*`([^`]*)`/g)].map(([, text = '']) => text);
  return templates.some((text) => {
    const parts = text.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part));
    return new RegExp(`^${parts.join('.+')}$`).test(title);
  });
}

suite('conformance', ({ test }) => {
  test('there are tables', () => assert.ok(TABLES.includes('sig-node.tsv')));

  for (const table of TABLES) {
    test(`${table}: each name once, and each test that is named exists`, () => {
      const rows = rowsOf(table);
      const names = rows.map(({ name }) => name);
      assert.is(new Set(names).size, names.length, 'a name is listed twice');
      if (NAMES[table] !== undefined) assert.is(names.length, NAMES[table]);
      const missing = rows.filter(({ file, title }) => {
        if (file === '-') return false;
        return !existsSync(file) || !hasTitle(readFileSync(file, 'utf8'), title);
      });
      assert.equal(missing, []);
    });
  }
});
