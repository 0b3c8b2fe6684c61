import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { castRate, castsIn, countCasts, MAX_CASTS } from './casts.ts';

describe('castsIn', () => {
  test.each([
    'const row = value as Row;',
    'const row = read() as { id: string };',
    'const row = rows[0] as [string, number];',
    "const row = value as 'a' | 'b';",
    'const row = (value as Row).id;',
    'export const row = read({ a }) as Row;',
  ])('counts the cast of %s', (source) => {
    expect(castsIn(source)).toBe(1);
  });

  test.each([
    'const names = ["a"] as const;',
    "import { a as b } from 'a';",
    "import * as a from 'a';",
    "import type { A as B,\n  C as D } from 'a';",
    "export { a as b } from 'a';",
    '// read as text',
    "const text = 'read as text';",
    'type Keys = { [K in keyof T as Lowercase<K>]: string };',
  ])('counts no cast in %s', (source) => {
    expect(castsIn(source)).toBe(0);
  });
});

test('a tree above the limit is rejected', () => {
  const repository = mkdtempSync(path.join(tmpdir(), 'casts-'));
  onTestFinished(() => rmSync(repository, { recursive: true }));
  mkdirSync(path.join(repository, 'apps/api/src'), { recursive: true });
  writeFileSync(
    path.join(repository, 'apps/api/src/a.ts'),
    `${'const a = b as C;\n'.repeat(6)}${'a();\n'.repeat(994)}`,
  );
  writeFileSync(path.join(repository, 'apps/api/src/a.test.ts'), 'const a = b as C;\n');
  const counts = countCasts(repository);
  expect([...counts]).toEqual([['apps/api/src/a.ts', { casts: 6, lines: 1_000 }]]);
  expect(castRate(counts.values())).toBeGreaterThan(MAX_CASTS);
});
