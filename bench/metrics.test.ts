import { expect, test } from 'vitest';
import { sumOf } from './metrics.ts';

const text = `# HELP rows_total Rows.
# TYPE rows_total counter
rows_total{model="a"} 3
rows_total{model="b"} 4.5
rows_total_created 12
up 1`;

test('sumOf sums a metric over its labels', () => {
  expect(sumOf(text, 'rows_total')).toBe(7.5);
  expect(sumOf(text, 'rows_total', 'model="a"')).toBe(3);
  expect(sumOf(text, 'up')).toBe(1);
  expect(sumOf(text, 'rows')).toBeUndefined();
});
