import path from 'node:path';

export interface Reached {
  /** Files of ours, relative to the root, each with the files on the way to it. */
  files: Map<string, string[]>;
  /** Packages of others, by name, each with the files on the way to it. */
  packages: Map<string, string[]>;
}

const specifiers =
  /^\s*(?:import|export)\s[^'";]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/** What a module names in its imports and exports, types included: they too tie it to what they come from. */
export function importsOf(source: string): string[] {
  return [...source.matchAll(specifiers)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/**
 * All that `entries` import, and what that imports, to the end. `read` gives a file's source; `resolveOwn` turns a
 * specifier of one of our own packages into its file.
 */
export function reachedFrom(
  entries: string[],
  read: (file: string) => string,
  resolveOwn: (specifier: string) => string | undefined,
): Reached {
  const reached: Reached = { files: new Map(entries.map((file) => [file, [file]])), packages: new Map() };
  // A Map's iteration goes on to what is added meanwhile.
  for (const [file, way] of reached.files) {
    for (const specifier of importsOf(read(file))) {
      if (specifier.startsWith('node:')) continue;
      const target = specifier.startsWith('.')
        ? path.posix.join(path.posix.dirname(file), specifier)
        : resolveOwn(specifier);
      if (target === undefined)
        reached.packages.set(packageName(specifier), reached.packages.get(packageName(specifier)) ?? way);
      else if (isModule(target) && !reached.files.has(target)) reached.files.set(target, [...way, target]);
    }
  }
  return reached;
}

function isModule(file: string): boolean {
  return /\.m?[jt]s$/.test(file);
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
