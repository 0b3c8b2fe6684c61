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

test('the lock file names no registry: whoever installs uses their own', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved?.includes('://'))).toEqual([]);
});

// npm leaves out an optional package that the registry at hand has not got. `npm ci` then refuses the file, on a
// machine where the registry has it, or for another platform.
test('the lock file has every package for every platform', () => {
  const names = new Set(Object.keys(packages).map((key) => key.slice(key.lastIndexOf('node_modules/') + 13)));
  const wanted = Object.values(packages).flatMap((entry) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }),
  );
  expect(wanted.filter((name) => !names.has(name))).toEqual([]);
});

// All of them run on the Node 24 that is installed with them, and npm, on the Node 20 that it is called with, would warn of
// each. npm leaves alone what is missing here: take `engines` out of an entry that this test names.
test('the lock file has npm warn of no package that the Node here were too old for', () => {
  const oldest = (range: string) => Math.min(...range.split('||').map((part) => Number(/\d+/.exec(part)?.[0] ?? 0)));
  const newer = Object.entries(packages).filter(([, { engines }]) => oldest(engines?.node ?? '') > 20);
  expect(newer.map(([name, { engines }]) => `${name}: ${engines?.node}`)).toEqual([]);
});
