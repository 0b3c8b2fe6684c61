/**
 * `npm run release [-- --dry-run]`: compiles, packs and checks the packages, lists their files, and publishes the packages with
 * provenance. With --dry-run nothing is published; the tarballs are in .build/tarballs.
 */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildPackages, type Packed } from './build.ts';
import { changelogFaults, fileFaults, formFaults, publicationFaults, versionFaults } from './checks.ts';
import type { Manifest } from './manifest.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false } } });
const isDryRun = values['dry-run'];

const read = (file: string) => readFile(path.join(root, file), 'utf8');

function print({ name, version, tarball, files }: Packed): void {
  const kilobytes = Math.ceil(files.reduce((sum, { size }) => sum + size, 0) / 1_000);
  console.log(`\n${name} ${version}: ${files.length} files, ${kilobytes} kB, ${path.relative(root, tarball)}`);
  for (const { path: file, size } of files) console.log(`  ${String(size).padStart(8)}  ${file}`);
}

async function release(): Promise<string[]> {
  const { version } = JSON.parse(await read('package.json')) as { version: string };
  const packed = await buildPackages(root, path.join(root, '.build'));
  const manifests = await Promise.all(
    packed.map(async ({ folder }) => JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as Manifest),
  );
  for (const entry of packed) print(entry);
  const faults = [
    ...versionFaults({ version }, manifests),
    ...changelogFaults(await read('CHANGELOG.md'), version),
    ...packed.flatMap(fileFaults),
  ];
  for (const entry of packed) faults.push(...(await formFaults(root, entry)));
  console.log(`\n${packed.length} packages of version ${version}. publint and attw ran on each package.`);
  const missing = await publicationFaults(root, version);
  if (isDryRun) {
    for (const reason of missing) console.log(`Before a publication: ${reason}`);
    if (faults.length === 0) console.log('Dry run: the packages have no faults, and nothing was published.');
    return faults;
  }
  if (faults.length > 0 || missing.length > 0) return [...faults, ...missing];
  for (const { tarball } of packed)
    execFileSync('npm', ['publish', tarball, '--access', 'public', '--provenance'], { cwd: root, stdio: 'inherit' });
  return [];
}

const faults = await release();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
