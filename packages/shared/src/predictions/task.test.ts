import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { BytePieces } from '../tensors/byte-pieces.ts';
import { tensorRowBytes } from '../tensors/tensor-bytes.ts';
import { tensorRowText } from '../tensors/tensor-rows.ts';
import { canonicalJson } from '../text/canonical-json.ts';
import { joinedTask, readTask, readWholeTask, storedTask, type Task, taskText, textOfTask } from './task.ts';

const rows = fc.tuple(fc.constantFrom(1, 70_000), fc.array(fc.jsonValue())).map(([length, values]) =>
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

const TASK = {
  shape: 'list',
  rows: ['1', '2'],
  keys: ['k', null],
  known: [null, '"a"'],
  onError: 'row',
  invalid: [{ row: 1, error: {} }],
  digest: 'd',
  epoch: 3,
};

test.each([
  {},
  { shape: 'one' },
  { shape: 'tensors' },
  { known: undefined },
  { onError: undefined, invalid: undefined },
])('a task with %j is read', (members) => {
  const task = { ...TASK, ...members };
  expect(readTask(JSON.stringify(task))).toEqual(JSON.parse(JSON.stringify(task)));
});

// A worker of another version, or a fault of the memory, can write each of the following texts.
test.each([
  { shape: 'two' },
  { shape: undefined },
  { rows: '12' },
  { rows: ['1', 2] },
  { rows: [1, 2] },
  { keys: 'k0' },
  { keys: { length: 2 } },
  { keys: ['k'] },
  { keys: ['k', 1] },
  { keys: [1, 2] },
  { known: 'ab' },
  { known: [null, 1] },
  { known: [1, 2] },
  { onError: 'fail' },
  { onError: null },
  { invalid: {} },
  { invalid: [{ row: 1, error: {} }, 1] },
  { invalid: [{ row: 1.5, error: {} }] },
  { invalid: [{ row: 1 }] },
  { invalid: [{ row: 1, error: null }] },
  { invalid: [null] },
  { digest: 1 },
  { digest: undefined },
  { epoch: '3' },
  { epoch: undefined },
])('a task with %j is not read', (members) => {
  expect(readTask(JSON.stringify({ ...TASK, ...members }))).toBeUndefined();
});

test.each(['', '{', 'null', '1', '"text"', '[]', '{}'])('%j is no task', (text) => {
  expect(readTask(text)).toBeUndefined();
  expect(readTask(Buffer.from(text))).toBeUndefined();
});

test('a text of a task is also read from its bytes, and is the text for the ledger as it is', () => {
  const text = JSON.stringify(TASK);
  expect(readTask(Buffer.from(text))).toEqual(TASK);
  expect(textOfTask(text)).toBe(text);
  expect(textOfTask('not a task')).toBe('not a task');
  expect(textOfTask(Buffer.from('not a task'))).toBe('');
});

test('a task whose slot is gone has no text, and a slot itself has no text', () => {
  const slot = { slot: '/dev/shm/millrace-0/00000000-0000-0000-0000-000000000000/1', bytes: 4 };
  const task: Task = { shape: 'one', rows: [slot], keys: [null], digest: '0'.repeat(64), epoch: 0 };
  const stored = storedTask(task, true);
  expect([readTask(stored), readWholeTask(stored), textOfTask(stored)]).toEqual([task, undefined, '']);
  expect(readWholeTask('{')).toBeUndefined();
  expect(() => taskText(task)).toThrow('a slot has no text');
});

/** The values that the text of the task passes to JSON.stringify. */
function stringified(task: Task): unknown[] {
  const stringify = vi.spyOn(JSON, 'stringify');
  try {
    taskText(task);
    return stringify.mock.calls.map(([value]) => value);
  } finally {
    stringify.mockRestore();
  }
}

// JSON.stringify takes 30 ms for a row of 10 MB, and is the fastest way for every other task.
test('a long row with few escapes is written without JSON.stringify, and any other task with one call', () => {
  const task = (rows: string[]): Task => ({ shape: 'list', rows, keys: rows.map(() => null), digest: 'd', epoch: 0 });
  const others = ({ shape, rows, ...rest }: Task) => rest;
  const long = canonicalJson({ base64: 'A'.repeat(65_536) });
  expect(stringified(task([long, long]))).toEqual([others(task([long, long]))]);
  const escaped = canonicalJson(['\\', 'A'.repeat(65_536)]);
  expect(stringified(task([escaped]))).toEqual([escaped, others(task([escaped]))]);
  const quotes = (count: number) => `[${'""'.repeat(count / 2)}${' '.repeat(65_536)}]`;
  expect(stringified(task([quotes(998)]))).toEqual([others(task(['']))]);
  expect(stringified(task([quotes(1_000)]))).toEqual([quotes(1_000), others(task(['']))]);
  const [single, several] = [task(['1']), task(['1', '2'])];
  expect(stringified(single)[0], 'without a copy').toBe(single);
  expect(stringified(several)).toEqual([several]);
});

test('a task without a row in pieces is joined already', () => {
  const task: Task = { shape: 'one', rows: ['1'], keys: [null], digest: 'd', epoch: 0 };
  expect(joinedTask(task)).toBe(task);
});

test('a row in pieces is joined', () => {
  const row = tensorRowBytes({ x: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } });
  const pieces = new BytePieces([row.subarray(0, 5), row.subarray(5)]);
  const task = { shape: 'one' as const, keys: [null], digest: '0'.repeat(64), epoch: 0 };
  expect(joinedTask({ ...task, rows: [pieces, 'text'] }).rows).toEqual([row, 'text']);
  expect(storedTask({ ...task, rows: [pieces] }, false)).toBe(taskText({ ...task, rows: [row] }));
});

test('a task without rows has a text', () => {
  const task: Task = { shape: 'list', rows: [], keys: [], digest: 'd', epoch: 0 };
  expect(taskText(task)).toBe(JSON.stringify(task));
});

const tensors = (values: readonly number[]) => ({
  x: { dtype: 'float32' as const, dims: [1, values.length], data: Float32Array.from(values) },
});
const hex = (digit: string) => digit.repeat(64);

test('a task of bytes is read back, and has the text of its tensors for the ledger', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.float()), { minLength: 1, maxLength: 5 }),
      fc.constantFrom('one', 'list', 'tensors'),
      fc.option(fc.string(), { nil: undefined }),
      (all, shape, known) => {
        const task: Task = {
          shape,
          rows: all.map((values) => tensorRowBytes(tensors(values))),
          keys: all.map((_, at) => (at % 2 ? null : hex('a'))),
          digest: hex('0'),
          epoch: 7,
          ...(known === undefined ? {} : { known: all.map((_, at) => (at % 2 ? known : null)) }),
        };
        const stored = storedTask(task, true);
        expect(Buffer.isBuffer(stored)).toBe(true);
        expect(readTask(stored)).toEqual(task);
        const text: Task = { ...task, rows: all.map((values) => tensorRowText(tensors(values))) };
        expect(textOfTask(stored)).toBe(JSON.stringify(text));
        expect(storedTask(task, false)).toBe(JSON.stringify(text));
      },
    ),
  );
});

test('a task with text in its rows, or with another digest, stays text', () => {
  const row = tensorRowBytes(tensors([1]));
  const task: Task = { shape: 'list', rows: [row], keys: [null], digest: hex('0'), epoch: 0 };
  expect(storedTask({ ...task, rows: [row, '{}'], keys: [null, null] }, true)).toBeTypeOf('string');
  expect(storedTask({ ...task, digest: 'd' }, true)).toBeTypeOf('string');
  expect(storedTask({ ...task, keys: ['k'] }, true)).toBeTypeOf('string');
});

test('a task of bytes that is cut, or of another version, is not read', () => {
  const row = tensorRowBytes(tensors([1, 2, 3]));
  const task: Task = {
    shape: 'tensors',
    rows: [row, row],
    keys: [null, hex('b')],
    digest: hex('0'),
    epoch: 0,
    known: ['1', null],
  };
  const stored = storedTask(task, true) as Buffer;
  for (let length = 0; length < stored.length; length += 1)
    expect(readTask(stored.subarray(0, length))).toBeUndefined();
  const later = Buffer.from(stored);
  later[0] = 3;
  expect(readTask(later)).toBeUndefined();
});
