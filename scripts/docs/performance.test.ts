/** Compares docs/performance.md with the scenarios, the rivals and the options of the benchmark. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { rivalPlans } from '../../bench/rivals.ts';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const page = read('docs/performance.md');

test('performance.md names every scenario and every rival', () => {
  const scenarios = globSync('bench/scenarios/*.ts', { cwd: root }).flatMap((file) =>
    [...read(file).matchAll(/: Scenario = \{\s+name: '([\w-]+)'/g)].map(([, name = '']) => name),
  );
  expect(scenarios.length).toBeGreaterThan(10);
  const named = [...scenarios, ...Object.keys(rivalPlans)];
  expect(named.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('performance.md names every option of the benchmark, and no other option', () => {
  const options = [...read('bench/options.ts').matchAll(/^ {2}(--[a-z]+) /gm)].map(([, name = '']) => name);
  expect(options.length).toBeGreaterThan(5);
  expect(options.filter((name) => !page.includes(name))).toEqual([]);
  const commands = [...page.matchAll(/npm run bench -- ([^\n`]*)/g)].map(([, args]) => args).join(' ');
  expect([...commands.matchAll(/--[a-z]+/g)].filter(([name]) => !options.includes(name))).toEqual([]);
});
