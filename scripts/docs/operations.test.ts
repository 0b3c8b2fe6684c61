import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { settings } from '@millrace/shared/process/config';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const operations = read('docs/operations.md');
const all = (pattern: RegExp) => [...new Set([...operations.matchAll(pattern)].map(([, name]) => name as string))];

/** Names of docker-compose.yml, of the tests, of Redis, and of prose. */
const NOT_SETTINGS = new Set([
  'REDIS_PASSWORD',
  'TEST_REDIS',
  'CONFIG',
  'PATCH',
  'READONLY',
  'SENTINEL',
  'REPLICAOF',
  'MASTERDOWN',
  'MISCONF',
  'NOREPLICAS',
  'LOADING',
  'NOPERM',
]);

test('every setting that operations.md names exists', () => {
  const compose = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8');
  const ofCompose = [...compose.matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
  const known = new Set([...settings.map(({ name }) => name), ...ofCompose]);
  const named = all(/`([A-Z][A-Z_]{5,})\b/g).filter((name) => !NOT_SETTINGS.has(name));
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('operations.md names every metric, and no other name', () => {
  const sources = globSync(['apps/{api,worker}/src/**/*.ts', 'packages/shared/src/process/*.ts'], { cwd: root }).filter(
    (file) => !file.endsWith('.test.ts'),
  );
  const made = new Set(
    sources.flatMap((file) => [...read(file).matchAll(/'(millrace_[a-z_]+)'/g)].map(([, name]) => name as string)),
  );
  for (const part of ['migrations', 'uuid']) made.delete(`millrace_${part}`);
  const named = all(/\b(millrace_[a-z_]+)/g);
  expect([...made].filter((name) => !named.includes(name))).toEqual([]);
  expect(named.filter((name) => !made.has(name) && !name.startsWith('millrace_webhook_'))).toEqual([]);
});

test('every command, file and heading that operations.md names exists', () => {
  const { scripts } = JSON.parse(read('package.json'));
  expect(all(/`npm run ([a-z:]+)/g).filter((name) => !(name in scripts))).toEqual([]);
  expect(all(/\]\(([\w./-]+)\)/g).filter((file) => !existsSync(path.join(root, 'docs', file)))).toEqual([]);
  expect(all(/`npm test -- ([\w./-]+)`/g).filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  const headings = [...operations.matchAll(/^##+ (.+)$/gm)].map(([, text]) => text?.toLowerCase().replaceAll(' ', '-'));
  expect(all(/\]\(#([\w-]+)\)/g).filter((heading) => !headings.includes(heading))).toEqual([]);
});

test('README.md links the notice, and the notice counts the structures', () => {
  expect(read('README.md')).toContain('](NOTICE)');
  const counts = new Map<string, number>();
  for (const line of read('models/drug-interaction/training/structures.csv').trim().split('\n').slice(1)) {
    const source = /,(chembl|chemicals|drug-named-entity-recognition),/.exec(line)?.[1];
    if (source) counts.set(source, (counts.get(source) ?? 0) + 1);
  }
  const notice = read('NOTICE');
  expect(Object.fromEntries(counts)).toEqual({ chemicals: 88, chembl: 98, 'drug-named-entity-recognition': 7 });
  for (const count of counts.values()) expect(notice).toMatch(new RegExp(`^ +${count} `, 'm'));
});
