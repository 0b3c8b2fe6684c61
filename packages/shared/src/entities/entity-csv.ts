/**
 * Parses the entities of a model from CSV (RFC 4180) with a header. The columns `key` and `name` are required. `aliases` are
 * separated by `|`, `vector` is little-endian float32 in base64, and every other column is an attribute. Keys, names and aliases
 * are unique across rows, also in other spellings (see `fold`).
 */

import { fold } from '../text/fold.ts';
import type { Entity } from './entity.ts';

/** An invalid CSV. The message has the file, the line and the reason. */
export class EntityCsvError extends Error {
  override name = 'EntityCsvError';
}

/** Parses the rows of a CSV text. Messages contain the name `file`. Throws EntityCsvError. */
export function parseEntityCsv(text: string, file: string): Entity[] {
  const records = [...recordsOf(text.replace(/^\uFEFF/, ''), file)];
  const columns = records.shift()?.fields ?? [];
  const at = (name: string) => columns.indexOf(name);
  for (const name of ['key', 'name'])
    if (at(name) < 0)
      throw new EntityCsvError(`${file} has no column "${name}". The columns are: ${columns.join(', ') || 'none'}.`);
  const attributes = columns.filter((name) => !['key', 'name', 'aliases', 'vector'].includes(name));
  const keys = new Map<string, number>();
  const terms = new Map<string, { line: number; key: string }>();
  return records.map(({ fields, line }) => {
    const where = `${file}, line ${line}`;
    if (fields.length !== columns.length)
      throw new EntityCsvError(`${where}: the line has ${fields.length} fields, but the header has ${columns.length}.`);
    const field = (name: string) => fields[at(name)] ?? '';
    const key = field('key');
    const name = field('name');
    if (key.trim() === '' || name.trim() === '') throw new EntityCsvError(`${where}: key and name must not be empty.`);
    const first = keys.get(key);
    if (first !== undefined) throw new EntityCsvError(`${where}: line ${first} already has the key "${key}".`);
    keys.set(key, line);
    const aliases = field('aliases')
      .split('|')
      .map((alias) => alias.trim())
      .filter(Boolean);
    // A name must never find the wrong row.
    for (const term of [key, name, ...aliases]) {
      const other = terms.get(fold(term));
      if (other !== undefined && other.key !== key)
        throw new EntityCsvError(`${where}: "${term}" is also a name of "${other.key}" on line ${other.line}.`);
      terms.set(fold(term), { line, key });
    }
    return {
      key,
      name,
      aliases,
      attributes: Object.fromEntries(attributes.map((attribute) => [attribute, field(attribute)])),
      ...(field('vector') === '' ? {} : { vector: vectorOf(field('vector'), where) }),
    };
  });
}

function vectorOf(base64: string, where: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || bytes.length % 4 !== 0)
    throw new EntityCsvError(`${where}: the vector must be float32 numbers in base64.`);
  // Copied, because float32 must be aligned and a small Buffer may start anywhere in Node's pool.
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Yields the records with their first line. Skips empty lines. */
function* recordsOf(text: string, file: string): Generator<{ fields: string[]; line: number }> {
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const startLine = line;
    const fields: string[] = [];
    for (;;) {
      let field = '';
      if (text[at] === '"') {
        const from = ++at;
        let end = text.indexOf('"', at);
        while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
        if (end < 0) throw new EntityCsvError(`${file}, line ${startLine}: a quote is not closed.`);
        field = text.slice(from, end).replaceAll('""', '"');
        line += field.split('\n').length - 1;
        at = end + 1;
      } else {
        const from = at;
        while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at++;
        field = text.slice(from, at);
      }
      fields.push(field);
      if (text[at] !== ',') break;
      at++;
    }
    if (text[at] === '\r') at++;
    if (at < text.length && text[at] !== '\n')
      throw new EntityCsvError(`${file}, line ${startLine}: text follows a closing quote.`);
    at++;
    line++;
    if (fields.length > 1 || fields[0] !== '') yield { fields, line: startLine };
  }
}
