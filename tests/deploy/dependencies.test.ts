/** Checks that docs/security.md lists each direct dependency with the version that package.json pins. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const manifests = ['package.json', ...globSync(['apps/*/package.json', 'packages/*/package.json'], { cwd: root })].map(
  (file) => JSON.parse(read(file)) as Manifest,
);
/** The distinct names and versions: a workspace can need another version than the root. */
const of = (kind: keyof Manifest): [string, string][] => {
  const all = manifests.flatMap((manifest) =>
    Object.entries(manifest[kind] ?? {}).filter(([name]) => !name.startsWith('@millrace/')),
  );
  return [...new Map(all.map((entry) => [entry.join(' '), entry])).values()];
};
const byName = ([a, v]: [string, string], [b, w]: [string, string]): number =>
  a === b ? (v < w ? -1 : 1) : a < b ? -1 : 1;

const security = read('docs/security.md');
const [production = '', others = ''] = security
  .slice(security.indexOf('Packages that run in production:'))
  .split('Packages for development');
/** Name, version and date of each table row. */
const rowsOf = (text: string): [string, string, string][] =>
  [...text.matchAll(/^\| `([^`]+)` \| ([^ ]+) \| (\d{4}-\d\d-\d\d) \|/gm)].map(([, name, version, date]) => [
    name as string,
    version as string,
    date as string,
  ]);

// When a test fails: write the row again, with the date from `npm view NAME time`, and look for advisories about the
// version.
test('each package that runs in production is listed with its version and date', () => {
  const listed = rowsOf(production).map(([name, version]) => [name, version]);
  expect(listed).toEqual(of('dependencies').sort(byName));
});

test('each other package is listed with its version and date', () => {
  const production = new Set(of('dependencies').map(([name]) => name));
  const all = [...of('devDependencies'), ...of('optionalDependencies')].filter(([name]) => !production.has(name));
  const listed = rowsOf(others).map(([name, version]) => [name, version]);
  expect(listed).toEqual(all.sort(byName));
});

test('every version is exact, and the lock file has a hash of each package', () => {
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'] as const)
    for (const [name, version] of of(kind)) expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { link?: boolean; integrity?: string }>;
  };
  const unhashed = Object.entries(packages).filter(
    ([where, { link, integrity }]) => where.includes('node_modules/') && !link && integrity === undefined,
  );
  expect(unhashed.map(([where]) => where)).toEqual([]);
});
