/** Finds the files and packages that a program reaches through its imports. */
import path from 'node:path';

export interface Reached {
  /** Files of Millrace, relative to the root, each with the chain of imports from an entry. */
  files: Map<string, string[]>;
  /** Third-party packages by name, each with the chain of imports from an entry. */
  packages: Map<string, string[]>;
}

const specifiers =
  /^\s*(?:import|export)\s[^'";]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/** Returns the specifiers of a module's imports and exports. Type imports count: they too couple two modules. */
export function importsOf(source: string): string[] {
  return [...source.matchAll(specifiers)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/**
 * Follows the imports of `entries` through all files. `read` returns the source of a file. `resolveOwn` returns the file of an
 * import of a Millrace package.
 */
export function reachedFrom(
  entries: string[],
  read: (file: string) => string,
  resolveOwn: (specifier: string) => string | undefined,
): Reached {
  const reached: Reached = { files: new Map(entries.map((file) => [file, [file]])), packages: new Map() };
  // The iteration of a Map also visits the entries that the loop adds.
  for (const [file, chain] of reached.files) {
    for (const specifier of importsOf(read(file))) {
      if (specifier.startsWith('node:')) continue;
      const target = specifier.startsWith('.')
        ? path.posix.join(path.posix.dirname(file), specifier)
        : resolveOwn(specifier);
      if (target === undefined)
        reached.packages.set(packageName(specifier), reached.packages.get(packageName(specifier)) ?? chain);
      else if (isModule(target) && !reached.files.has(target)) reached.files.set(target, [...chain, target]);
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
