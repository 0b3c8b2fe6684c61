/**
 * Finds the installed packages that the files of a handler import, with the packages that they need, so that the digest of the
 * handler covers their versions. Packages that Millrace brings along are part of the release of Millrace and are left out.
 */
import { hash } from 'node:crypto';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import { digestFile } from './handler-data.ts';

const IMPORTED = /\b(?:from|import|require)\s*\(?\s*(['"])((?:@[\w.~-]+\/)?[A-Za-z0-9_][\w.~-]*)(?:\/[^'"\n]*)?\1/g;
/** Packages of one handler. The limit bounds the time of a scan. */
const PACKAGES_MAX = 2_000;
/** Files of a package whose version does not identify the content. */
const FILES_MAX = 2_000;

export interface HandlerPackages {
  /** `name@version`, sorted. A linked package, and a package without a version, has the digest of its files instead. */
  versions: readonly string[];
  /** The package.json of each package, and each file of a linked package. */
  files: readonly string[];
}

interface Manifest {
  name?: unknown;
  version?: unknown;
  dependencies?: Record<string, unknown>;
  devDependencies?: Record<string, unknown>;
  optionalDependencies?: Record<string, unknown>;
  peerDependencies?: Record<string, unknown>;
}

/** Returns the packages of a handler. `sources` has texts by absolute path. A package that is not installed is left out. */
export async function packagesOf(sources: ReadonlyMap<string, string | null>): Promise<HandlerPackages> {
  const folders = new Set<string>();
  const versions = new Set<string>();
  const files = new Set<string>();
  const left: string[] = [];
  for (const [source, text] of sources)
    for (const name of importedNames(text ?? '')) {
      const found = await findPackage(name, dirname(source));
      if (found !== undefined && !(await isOfMillrace(found, name))) left.push(found);
    }
  for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
    // Node.js resolves the imports of a linked package from the place of its files.
    const real = await realpath(folder);
    if (folders.has(real)) continue;
    if (folders.size === PACKAGES_MAX)
      throw new Error(`handler.ts imports packages that need more than ${PACKAGES_MAX} packages: bundle the handler`);
    folders.add(real);
    const manifest = (await manifestIn(real)) ?? {};
    const hasVersion = isInstalled(real) && typeof manifest.version === 'string';
    const own = hasVersion ? [join(real, 'package.json')] : await filesOf(real);
    for (const file of own) files.add(file);
    const version = hasVersion ? manifest.version : `files:${await contentOf(real, own)}`;
    versions.add(`${manifest.name ?? basename(real)}@${version}`);
    for (const name of neededBy(manifest)) {
      const found = await findPackage(name, real);
      if (found !== undefined) left.push(found);
    }
  }
  return { versions: [...versions].sort(), files: [...files].sort() };
}

function importedNames(text: string): Set<string> {
  const names = [...text.matchAll(IMPORTED)].map(([, , name = '']) => name);
  return new Set(names.filter((name) => !isBuiltin(name) && !name.startsWith('@millrace/')));
}

/** Optional dependencies are left out: most of them are the same package for another platform. */
function neededBy({ dependencies = {}, peerDependencies = {}, optionalDependencies = {} }: Manifest): string[] {
  const names = Object.keys({ ...dependencies, ...peerDependencies });
  return names.filter((name) => !Object.hasOwn(optionalDependencies, name));
}

/** The folder of a package, as Node.js finds the folder: in the nearest node_modules above `from`. */
async function findPackage(name: string, from: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (basename(folder) !== 'node_modules' && (await isFolder(found))) return found;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Whether a package is installed only because Millrace needs the package: the package.json beside its node_modules does not name the package. */
async function isOfMillrace(folder: string, name: string): Promise<boolean> {
  const project = await manifestIn(folder.slice(0, -join('node_modules', name).length));
  if (project === undefined) return false;
  if (/^(?:millrace$|@millrace\/)/.test(String(project.name))) return true;
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = project;
  const named = { ...dependencies, ...devDependencies, ...optionalDependencies, ...peerDependencies };
  return !Object.hasOwn(named, name) && Object.keys(named).some((other) => /^(?:millrace$|@millrace\/)/.test(other));
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function manifestIn(folder: string): Promise<Manifest | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

const isInstalled = (folder: string): boolean => folder.split(sep).includes('node_modules');

/** The files of a package, without its own node_modules and hidden folders. */
async function filesOf(folder: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop())
    for (const entry of await readdir(next, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (entry.isDirectory()) folders.push(join(next, entry.name));
      else if (entry.isFile()) files.push(join(next, entry.name));
      if (files.length > FILES_MAX)
        throw new Error(
          `handler.ts imports the package ${folder}, which has no version and more than ${FILES_MAX} files`,
        );
    }
  return files.sort();
}

async function contentOf(folder: string, files: readonly string[]): Promise<string> {
  const parts: [string, string][] = [];
  for (const file of files) parts.push([relative(folder, file), await digestFile(file)]);
  return hash('sha256', JSON.stringify(parts), 'hex');
}
