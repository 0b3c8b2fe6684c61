import type { Scenario } from './bench.ts';
import { type RivalFigures, round, type ScenarioResult } from './results.ts';

/** Formats the figures of a scenario, one rival per line, and its goals. */
export function table(
  { name, about }: Pick<Scenario, 'name' | 'about'>,
  { rivals, ratios, goals }: ScenarioResult,
): string {
  const names = [...new Set(Object.values(rivals).flatMap((figures) => Object.keys(figures)))];
  const rows = [['', ...names], ...Object.entries(rivals).map(([rival, figures]) => [rival, ...cells(names, figures)])];
  const widths = names.map((_, column) => Math.max(...rows.map((row) => (row[column + 1] ?? '').length)));
  const first = Math.max(...rows.map((row) => (row[0] ?? '').length));
  const lines = rows.map(([head = '', ...rest]) =>
    [head.padEnd(first), ...rest.map((cell, column) => cell.padStart(widths[column] ?? 0))].join('  '),
  );
  const quotients = Object.entries(ratios).map(([ratio, value]) => `${ratio} ${value}`);
  const verdicts = goals.map(({ goal, measured, met }) => `  ${met ? 'met   ' : 'MISSED'}  ${goal}: ${measured}`);
  return [`${name}: ${about}`, ...lines.map((line) => `  ${line}`), `  ${quotients.join(', ')}`, ...verdicts, ''].join(
    '\n',
  );
}

function cells(names: readonly string[], figures: RivalFigures): string[] {
  return names.map((name) => {
    const value = figures[name];
    return value === undefined || Number.isNaN(value) ? '-' : round(value).toLocaleString('en-US');
  });
}
