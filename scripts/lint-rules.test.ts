import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');

let repository: string;
beforeEach(() => {
  repository = mkdtempSync(path.join(tmpdir(), 'lint-'));
  copyFileSync(path.join(root, 'biome.json'), path.join(repository, 'biome.json'));
  writeFileSync(path.join(repository, '.gitignore'), 'node_modules/\n');
});
afterEach(() => rmSync(repository, { recursive: true }));

/** Returns the output of the linter for a file with this source. */
function lint(file: string, source: string): string {
  const place = path.join(repository, file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, source);
  const biome = path.join(root, 'node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--colors=off', file];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: repository, encoding: 'utf8' });
  return stdout + stderr;
}

const withParams = (count: number): string =>
  `export function f(${['a', 'b', 'c', 'd']
    .slice(0, count)
    .map((name) => `${name}: number`)
    .join(', ')}): void {}\n`;
const withLines = (count: number): string => `export function f(): void {\n${'  f();\n'.repeat(count)}}\n`;

test('a function with more than three positional parameters is rejected', () => {
  expect(lint('apps/api/src/a.ts', withParams(3))).not.toContain('useMaxParams');
  expect(lint('apps/api/src/a.ts', withParams(4))).toContain('useMaxParams');
});

test('a function of more than 60 lines is rejected, except in tests', () => {
  expect(lint('apps/api/src/a.ts', withLines(50))).not.toContain('noExcessiveLinesPerFunction');
  expect(lint('apps/api/src/a.ts', withLines(70))).toContain('noExcessiveLinesPerFunction');
  expect(lint('apps/api/src/a.test.ts', withLines(70))).not.toContain('noExcessiveLinesPerFunction');
});
