/** The digest of named parts, such as the files of a version. */
import { hash } from 'node:crypto';

/** SHA-256 (hex) of named parts, sorted by name, each with its length. */
export function digestOf(parts: readonly (readonly [string, string])[]): string {
  const sorted = [...parts].sort(([x], [y]) => (x < y ? -1 : 1));
  return hash(
    'sha256',
    sorted.map(([name, value]) => `${name.length}:${name},${value.length}:${value},`).join(''),
    'hex',
  );
}
