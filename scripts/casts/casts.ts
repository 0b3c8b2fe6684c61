/** Counts type casts (`value as Type`) in TypeScript sources. A cast hides a type error; `as const` and `satisfies` do not. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface CastCount {
  casts: number;
  lines: number;
}

/** Casts for each 1,000 lines of product code. */
export const MAX_CASTS = 5;

const PRODUCT = ['apps/*/src/**/*.ts', 'packages/*/src/**/*.ts', 'scripts/**/*.ts'];

const TEXTS = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*.*?\*\//gs;
/** Imports and exports rename with `as`, and a mapped type renames its keys. */
const RENAMES = /^\s*(?:import|export)\b(?:\s+type)?\s*(?:\w+,\s*)?(?:\{[^}]*\}|\*\s+as\s+\w+)|\bin\s+[^\]]*?\bas\b/gm;
const CAST = /[\w)\]}`'"!>?]\s+as\s+(?!const\b)[\w{[('"`]/g;

/** Returns the number of casts in a TypeScript source. */
export function castsIn(source: string): number {
  const code = source.replace(TEXTS, (text) => (text.startsWith('/') ? '' : "''")).replace(RENAMES, '');
  return code.match(CAST)?.length ?? 0;
}

/** Counts the casts of each file of product code below `repository`, tests left out. */
export function countCasts(repository: string): Map<string, CastCount> {
  const files = globSync(PRODUCT, { cwd: repository, exclude: ['**/node_modules/**'] }).filter(
    (file) => !file.endsWith('.test.ts'),
  );
  return new Map(
    files.sort().map((file) => {
      const source = readFileSync(path.join(repository, file), 'utf8');
      return [file, { casts: castsIn(source), lines: source.split('\n').length - 1 }];
    }),
  );
}

/** Returns the casts for each 1,000 lines of all files together. */
export function castRate(counts: Iterable<CastCount>): number {
  let casts = 0;
  let lines = 0;
  for (const count of counts) {
    casts += count.casts;
    lines += count.lines;
  }
  return lines === 0 ? 0 : (1_000 * casts) / lines;
}
