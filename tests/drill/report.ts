/** Writes the results into results.json and the table of docs/observability.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Played } from './play.ts';

const RESULTS = path.join(import.meta.dirname, 'results.json');
const DOCUMENT = path.resolve(import.meta.dirname, '../../docs/observability.md');
const BEGIN = '<!-- begin: npm run test:drill -->';
const END = '<!-- end: npm run test:drill -->';

/** Replaces the results of these incidents. `order` has the names of all incidents: results of other names are removed. */
export function writeReport(results: readonly Played[], order: readonly string[]): void {
  const all = new Map(readResults().map((result) => [result.name, result]));
  for (const result of results) all.set(result.name, result);
  const kept = order.flatMap((name) => all.get(name) ?? []);
  writeFileSync(RESULTS, `${JSON.stringify(kept, null, 2)}\n`);
  const text = readFileSync(DOCUMENT, 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${DOCUMENT} has no place for the table: ${BEGIN}, ${END}`);
  writeFileSync(DOCUMENT, `${text.slice(0, before + BEGIN.length)}\n${table(kept)}\n${text.slice(after)}`);
}

function readResults(): Played[] {
  try {
    return JSON.parse(readFileSync(RESULTS, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
}

function table(results: readonly Played[]): string {
  const rows = results.map(({ how, alert, alertS, effects, lines, problems }) => {
    const also = effects.map((name) => `\`${name}\``).join(', ');
    const verdict = problems.length === 0 ? '' : 'not clean';
    return `| ${how} | \`${alert}\` | ${alertS ?? '–'} | ${also} | ${lines} | ${verdict} |`;
  });
  return [
    '| incident | own alert | fired after, s | alerts on its effects | log lines a minute | |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
