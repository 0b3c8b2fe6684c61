/**
 * `npm run casts [-- --report]`: counts the type casts of the product code, and exits with 1 above the limit. `--report` prints
 * the files with casts.
 */
import path from 'node:path';
import { castRate, countCasts, MAX_CASTS } from './casts.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const counts = countCasts(repository);
if (process.argv.includes('--report')) {
  const withCasts = [...counts].filter(([, { casts }]) => casts > 0).sort(([, a], [, b]) => b.casts - a.casts);
  for (const [file, { casts, lines }] of withCasts)
    console.log(`${String(casts).padStart(4)} in ${lines} lines  ${file}`);
}
const rate = castRate(counts.values());
console.log(`${rate.toFixed(1)} casts for each 1,000 lines of product code, at most ${MAX_CASTS} are allowed`);
process.exitCode = rate > MAX_CASTS ? 1 : 0;
