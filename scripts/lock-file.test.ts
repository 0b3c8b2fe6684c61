import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

interface Entry {
  resolved?: string;
  link?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  engines?: { node?: string };
}

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const { packages } = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Entry> };

test('the lock file names no registry, so that each installation uses its own registry', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved?.includes('://'))).toEqual([]);
});

// npm leaves out an optional package that the registry in use does not have. `npm ci` then rejects the lock file on another
// platform, and where the registry has the package.
test('the lock file has every package for every platform', () => {
  const names = new Set(Object.keys(packages).map((key) => key.slice(key.lastIndexOf('node_modules/') + 13)));
  const wanted = Object.values(packages).flatMap((entry) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }),
  );
  expect(wanted.filter((name) => !names.has(name))).toEqual([]);
});

// The packages run on the installed Node 24, but npm runs on Node 20 and prints a warning for each such package. npm does not
// complain about a missing `engines`: remove `engines` from an entry that this test names.
test('no package of the lock file requires a Node above 20, so npm prints no warning', () => {
  const oldest = (range: string) => Math.min(...range.split('||').map((part) => Number(/\d+/.exec(part)?.[0] ?? 0)));
  const newer = Object.entries(packages).filter(([, { engines }]) => oldest(engines?.node ?? '') > 20);
  expect(newer.map(([name, { engines }]) => `${name}: ${engines?.node}`)).toEqual([]);
});
