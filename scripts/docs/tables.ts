/** Generates the tables of the documents from the code. tables.test.ts compares the documents with the code. */

import { ERRORS, type ErrorKind } from '@millrace/shared/error-table';
import { settings } from '@millrace/shared/process/config';
import type { Setting } from '@millrace/shared/process/setting';

/** The files with generated tables. The key of a table is the name in the table's markers. */
export const GENERATED: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'docs/errors.md': { errors: errorTable },
  'docs/configuration.md': { settings: settingTable },
};

const begin = (name: string) => `<!-- begin ${name}: written by npm run docs -->\n`;
const end = (name: string) => `<!-- end ${name} -->`;

/** Returns the text with each table generated anew. Throws when the markers of a table are missing. */
export function withTables(text: string, parts: Readonly<Record<string, () => string>>): string {
  let out = text;
  for (const [name, table] of Object.entries(parts)) {
    const from = out.indexOf(begin(name));
    const to = out.indexOf(end(name));
    if (from === -1 || to < from)
      throw new Error(
        `The markers of the table '${name}' are missing: add the lines "begin ${name}" and "end ${name}".`,
      );
    out = `${out.slice(0, from)}${begin(name)}\n${table()}\n${out.slice(to)}`;
  }
  return out;
}

const row = (...cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

function errorTable(): string {
  const kinds: [string, ErrorKind][] = Object.entries(ERRORS);
  const sorted = kinds.sort(([, a], [, b]) => a.status - b.status);
  return [
    row('code', 'status', 'title', 'may succeed later', 'meaning'),
    row('---', '---', '---', '---', '---'),
    ...sorted.map(([code, { status, title, retryable, about }]) =>
      row(`\`${code}\``, String(status), title, retryable ? 'yes' : 'no', about),
    ),
  ].join('\n');
}

const rangeOf = ({ kind, min, max, oneOf }: Setting): string => {
  if (oneOf) return oneOf.map((value) => `\`${value}\``).join(', ');
  if (kind === 'flag') return '`true`, `false`';
  if (kind === 'list' || kind === 'addresses') return 'separated by commas';
  return min === undefined ? kind : `${min} to ${max}`;
};

function settingTable(): string {
  return [
    row('name', 'default', 'values', 'meaning'),
    row('---', '---', '---', '---'),
    ...settings.map((setting) =>
      row(`\`${setting.name}\``, setting.default ? `\`${setting.default}\`` : 'none', rangeOf(setting), setting.about),
    ),
  ].join('\n');
}

/** Returns every setting with its default as a comment, so that a copy of the file changes nothing. */
export function envExample(): string {
  const head =
    '# Every setting of Millrace with its default; docs/configuration.md has the ranges. Written by npm run docs.';
  const entries = settings.map(({ name, about, default: value = '' }) => `# ${about}\n# ${name}=${value}`);
  return `${[head, ...entries].join('\n\n')}\n`;
}
