import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { mutantsOfLua } from './lua-mutants.ts';
import { applyMutant, lineOf, type Mutant, textOf } from './mutant.ts';
import { NAMED } from './named.ts';
import { mutantsOfTypeScript } from './typescript-mutants.ts';

const texts = (source: string, mutants: Mutant[]) => mutants.map((mutant) => applyMutant(source, mutant));

describe('the changes of TypeScript', () => {
  const changesOf = (source: string) => texts(source, mutantsOfTypeScript(source, 'a.ts'));

  test.each([
    ['f(a < b);', ['f(a <= b);', 'f(a >= b);']],
    ['f(a && !b);', ['f(a || !b);', 'f(a && b);']],
    ['f(a ?? b);', ['f(a && b);']],
    ['f(`a` + b);', []],
    ['f(a - -1);', ['f(a + -1);', 'f(a - +1);']],
    ['f(true, [1]);', ['f(false, [1]);', 'f(true, []);']],
    ['f(a?.b);', ['f(a.b);']],
    ['f(a.filter(b));', ['f(a);']],
    ['f(a.some(b));', ['f(a.every(b));']],
    ['f(a.toString());', []],
    ['const f = () => a;', ['const f = () => (undefined as never);']],
    ['if (a) f(b?.[0]);', ['if (true) f(b?.[0]);', 'if (false) f(b?.[0]);', 'if (a) ;']],
    ['type A = 1 | true; let b: A[] = c;', []],
    ['import { a } from "b";', []],
  ])('%s', (source, expected) => {
    // Each statement is also removed.
    expect(new Set(changesOf(source))).toEqual(new Set([...expected, ...(source.startsWith('f(') ? [';'] : [])]));
  });
});

describe('the changes of Lua', () => {
  const changesOf = (source: string) => texts(source, mutantsOfLua(source));

  test.each([
    ['local a = b == c', ['local a = b ~= c']],
    ["local a = 'x == y' -- b == c", []],
    ['return not a and b', ['return a and b', 'return not a or b']],
    ['if a then return 1 end', ['if true then return 1 end', 'if false then return 1 end']],
    ["local n = 1\nredis.call('DEL', f(a))\nreturn n", ['local n = 1\ndo end\nreturn n']],
    ["local n = redis.call('GET', a)", []],
    ['return a - 1', ['return a + 1']],
    ['return -1', []],
  ])('%s', (source, expected) => {
    expect(new Set(changesOf(source))).toEqual(new Set(expected));
  });
});

test('a change is shown with its line', () => {
  const source = 'const a = 1;\nconst b = a < 2;';
  const [mutant] = mutantsOfTypeScript(source, 'a.ts');
  expect(mutant && [lineOf(source, mutant.start), textOf(source, mutant)]).toEqual([2, '< → <=']);
});

test.each(NAMED)('the file has the text before the named change once: $name', ({ file, before, after, tests }) => {
  const repository = path.resolve(import.meta.dirname, '../..');
  const read = (name: string) => readFileSync(path.join(repository, name), 'utf8');
  expect(read(file).split(before)).toHaveLength(2);
  expect(after).not.toBe(before);
  for (const each of tests) expect(read(each)).toMatch(/\btest\b/);
});
