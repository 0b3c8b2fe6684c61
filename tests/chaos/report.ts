/** Writes results as JSON beside this file, and as a table to docs/reliability.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Result {
  name: string;
  seed: number;
  accepted: number;
  lost: number;
  wrong: number;
  terminal_twice: number;
  duplicate_executions: number;
  /** Null for a fault without a healing. */
  recovery_s: number | null;
  how: string;
  notes: string;
  problems: string[];
  /** Missed goals that also depend on the machine. They do not fail the short form. */
  missed: string[];
  short: boolean;
  on: string;
}

const RESULTS = path.join(import.meta.dirname, 'results.json');
const DOC = path.resolve(import.meta.dirname, '../../docs/reliability.md');
const BEGIN = '<!-- begin: npm run test:chaos -->';
const END = '<!-- end: npm run test:chaos -->';

/** Replaces earlier results of the same faults. The order is the order of `names`. */
export function writeReport(results: readonly Result[], names: readonly string[]): void {
  const all = new Map(readResults().map((result) => [result.name, result]));
  for (const result of results) all.set(result.name, result);
  const faults = names.flatMap((name) => all.get(name) ?? []);
  writeFileSync(RESULTS, `${JSON.stringify({ faults }, null, 2)}\n`);
  const doc = readFileSync(DOC, 'utf8');
  const [before, rest] = doc.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${DOC} has no place for the table.`);
  writeFileSync(DOC, `${before}${BEGIN}\n\n${tableOf(faults)}\n\n${END}${after}`);
}

function readResults(): Result[] {
  try {
    return (JSON.parse(readFileSync(RESULTS, 'utf8')) as { faults: Result[] }).faults;
  } catch {
    return [];
  }
}

function tableOf(faults: readonly Result[]): string {
  const rows = faults.map((one) => [
    `${one.name}${one.short ? ' (short)' : ''}`,
    one.how,
    one.accepted,
    one.lost,
    one.wrong,
    one.terminal_twice,
    one.duplicate_executions,
    one.recovery_s === null ? '–' : one.recovery_s.toFixed(1),
    seenIn(one),
  ]);
  const head = ['fault', 'how', 'accepted', 'lost', 'wrong', 'terminal twice', 'run again', 'recovery, s', 'seen'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function seenIn({ notes, problems, missed }: Result): string {
  const bad = problems.length > 0 ? [`**${problems.length} problems**`] : [];
  return [notes, ...missed.map((goal) => `**missed: ${goal}**`), ...bad].filter(Boolean).join('; ');
}
