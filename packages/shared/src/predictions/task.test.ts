import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../text/canonical-json.ts';
import { readTask, type Task, taskText } from './task.ts';

const rows = fc.tuple(fc.constantFrom(1, 70_000), fc.array(fc.jsonValue(), { minLength: 1 })).map(([length, values]) =>
  // The first row decides how all rows are written.
  [canonicalJson(['x'.repeat(length)]), ...values.map((value) => canonicalJson(value))],
);

test('the text of any task is the text of JSON.stringify, and is read back', () => {
  fc.assert(
    fc.property(rows, fc.option(fc.string(), { nil: undefined }), (texts, known) => {
      const task: Task = {
        shape: 'list',
        rows: texts,
        keys: texts.map(() => null),
        digest: 'd',
        epoch: 3,
        ...(known === undefined ? {} : { known: texts.map(() => known) }),
      };
      expect(taskText(task)).toBe(JSON.stringify(task));
      expect(readTask(taskText(task))).toEqual(task);
    }),
  );
});

test('the text of a long row with many quotes, or with escapes, is the text of JSON.stringify', () => {
  for (const value of [Array(40_000).fill(''), 'a"\\\u2028\ud800'.repeat(20_000), '"'.repeat(70_000)]) {
    const task: Task = { shape: 'one', rows: [canonicalJson(value)], keys: [null], digest: 'd', epoch: 0 };
    expect(taskText(task)).toBe(JSON.stringify(task));
  }
});
