import { expect, test } from 'vitest';
import { ledgerTask } from '../predictions/ledger-task.ts';
import { type StoredTask, storedTask, type Task } from '../predictions/task.ts';
import { tensorRowBytes } from '../tensors/tensor-bytes.ts';
import {
  isLaterJob,
  jobIdOf,
  jobOptions,
  liftText,
  NewerJobError,
  parseLift,
  parsePredictJob,
  readSlots,
  rowAhead,
  rowCounts,
  rowsAhead,
  slotsAhead,
} from './job.ts';

const ID = '01a20d70-b864-7003-81b6-471cc51458d6';
const task = (rows: string[], known?: (string | null)[]) =>
  JSON.stringify({ shape: 'list', rows, keys: rows.map(() => null), digest: 'd', epoch: 0, known });

test('a small job contains each row to compute once, and no row with a known output', () => {
  expect(rowsAhead([task(['1', '2', '2']), task(['2', '3'], ['"known"', null])])).toEqual(['1', '2', '3']);
  expect(rowsAhead([task(['1'], ['"known"'])])).toEqual([]);
});

test('a row of bytes in a job is read back as bytes, and a row of text as text', () => {
  const rows = [1, 2, 3].map((length) =>
    tensorRowBytes({ x: { dtype: 'float64', dims: [1, length], data: new Float64Array(length).fill(7) } }),
  );
  // The base64 of one of the rows has no padding.
  expect(new Set(rows.map(({ length }) => length % 3))).toEqual(new Set([0, 1, 2]));
  const keys = rows.map(() => null);
  const stored = storedTask({ shape: 'list', rows, keys, digest: '0'.repeat(64), epoch: 0 }, true);
  expect(rowsAhead([stored, task(['"a="'])])?.map(rowAhead)).toEqual([...rows, '"a="']);
});

test('a job contains no rows if a task is unreadable, or if a row is in a slot', () => {
  expect(rowsAhead(['{"rows":'])).toBeUndefined();
  const slot = { slot: `/dev/shm/millrace-0/${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}/1`, bytes: 4 };
  const task: Task = { shape: 'list', rows: [slot], keys: [null], digest: '0'.repeat(64), epoch: 0 };
  expect(rowsAhead([storedTask(task, true)])).toBeUndefined();
});

const inSlots = (numbers: readonly number[]): Task => ({
  shape: 'list',
  rows: numbers.map((number) => ({ slot: `/dev/shm/millrace-0/${ID}/${number}`, bytes: 4 })),
  keys: numbers.map(() => null),
  digest: '0'.repeat(64),
  epoch: 0,
});

test('a small job names its slots, and the names are read back', () => {
  const tasks = [inSlots([1, 2]), inSlots([3])];
  const slots = slotsAhead(tasks.map((task) => storedTask(task, true)));
  expect(readSlots(slots ?? [])).toEqual(tasks.flatMap(({ rows }) => rows));
  expect(readSlots(['4 /etc/passwd', '', ...(slots ?? [])])).toEqual(tasks.flatMap(({ rows }) => rows));
});

test('a job names no slot of a row with a cached result, and one slot of equal rows', () => {
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
  const tasks = [
    { ...inSlots([1, 2, 3]), keys: [a, b, null], known: ['[1]', null, null] },
    { ...inSlots([4, 5, 6]), keys: [b, a, null] },
  ];
  const slots = slotsAhead(tasks.map((task) => storedTask(task, true))) ?? [];
  expect(readSlots(slots).map(({ slot }) => slot.at(-1))).toEqual(['2', '3', '5', '6']);
});

test('a job names no slots if a row is in no slot, if a task is long, or if the job has many predictions', () => {
  const slot = storedTask(inSlots([1]), true);
  expect(slotsAhead([slot, slot, slot, slot])).toHaveLength(4);
  expect(slotsAhead([slot, slot, slot, slot, slot])).toBeUndefined();
  expect(slotsAhead([slot, task(['1'])])).toBeUndefined();
  const row = tensorRowBytes({ x: { dtype: 'float64', dims: [1, 1], data: new Float64Array(1) } });
  const mixed = { ...inSlots([1, 2]), rows: [...inSlots([1]).rows, row] };
  expect(slotsAhead([storedTask(mixed, true)])).toBeUndefined();
  expect(slotsAhead([storedTask(inSlots(Array.from({ length: 20 }, (_, at) => at)), true)])).toBeUndefined();
  expect(slotsAhead(['{"rows":'])).toBeUndefined();
});

test('a job of many predictions, or of long predictions, contains no rows', () => {
  expect(rowsAhead(Array.from({ length: 4 }, () => task(['1'])))).toEqual(['1']);
  expect(rowsAhead(Array.from({ length: 5 }, () => task(['1'])))).toBeUndefined();
  expect(rowsAhead([task(['1']), task([`"${'x'.repeat(1_024)}"`])])).toBeUndefined();
});

test.each([
  { v: 1, version: '1', ids: [ID] },
  { v: 1, version: '1', ids: [ID], ahead: ['["a","b"]'] },
  { v: 1, version: '1', ids: [ID], slots: [`4 /dev/shm/millrace-0/${ID}/1`] },
  { v: 1, version: '1', ids: [ID], rows: [10_000] },
  { v: 1, version: '1', ids: [ID, ID], rows: [0, 2] },
])('accepts %j', (job) => {
  expect(parsePredictJob(job)).toEqual(job);
});

test.each([
  null,
  { v: 0, version: '1', ids: [] },
  { v: 1, version: '1', ids: ['x'] },
  { v: 1, version: '1', ids: [ID, 'x'] },
  { v: 1, version: 1, ids: [ID] },
  { v: 1, version: '1', ids: [ID], ahead: ['1', 7] },
  { v: 1, version: '1', ids: [ID], rows: [-1] },
  { v: 1, version: '1', ids: [ID, ID], rows: [1, -1] },
  { v: 1, version: '1', ids: [ID], ahead: [7] },
  { v: 1, version: '1', ids: [ID], ahead: 'x' },
  { v: 1, version: '1', ids: [ID], slots: 'x' },
  { v: 1, version: '1', ids: [ID], slots: ['x', 7] },
  { v: 1, version: '1', ids: [ID], rows: [1, 1] },
  { v: 1, version: '1', ids: [ID], rows: ['1'] },
  { v: 1, version: '1', ids: [ID], rows: 1 },
])('refuses %j', (job) => {
  expect(() => parsePredictJob(job)).toThrow('expected a job {v: 1, version, ids, rows?, ahead?, slots?}, got');
});

test('distinguishes a job of a later version from an invalid job', () => {
  expect(() => parsePredictJob({ v: 2, version: '1', ids: [] })).toThrow(NewerJobError);
});

test('a job counts the rows to compute of each prediction, unless each prediction has one row', () => {
  const promise = (text: StoredTask, rows: number | null = null) => ({ task: text, rows });
  expect(rowCounts([promise(task(['1'])), promise(task(['2']))])).toBeUndefined();
  const cached = [promise(task(['3', '4'], ['"known"', null]), 2), promise(task(['5'], ['"known"']), 1)];
  expect(rowCounts([promise(task(['1', '2'])), ...cached])).toEqual([2, 1, 0]);
  expect(rowCounts([promise('{"rows":'), promise(task(['1', '2']))])).toEqual([1, 2]);
});

test('a job counts all rows of a task that is not parsed', () => {
  const long = task(['x'.repeat(20_000)]);
  expect(rowCounts([{ task: long, rows: 1 }])).toBeUndefined();
  expect(
    rowCounts([
      { task: long, rows: null },
      { task: long, rows: 7 },
      { task: ledgerTask(100_000), rows: 12 },
    ]),
  ).toEqual([1_000, 7, 12]);
});

test('a lift is read back from its message, and no other message is read as a lift', () => {
  const lift = { model: 'm', id: ID, priority: 1 };
  expect(parseLift(liftText(lift))).toEqual(lift);
  for (const text of ['', 'm', `x ${ID} m`, `1 ${ID} `, '1 nobody m']) expect(parseLift(text)).toBeUndefined();
});

test('the jobs of a prediction have an id for each round, and only the job of round 0 is a first job', () => {
  const ids = [jobIdOf(ID), jobIdOf(ID, 1), jobIdOf(ID, 2)];
  expect(ids).toEqual([`p-${ID}`, `p-${ID}-1`, `p-${ID}-2`]);
  expect(ids.map(isLaterJob)).toEqual([false, true, true]);
});

test('a job has its priority, leaves the queue when it is complete, and is kept when it has failed', () => {
  expect(jobOptions('p-1', 9)).toEqual({
    jobId: 'p-1',
    priority: 9,
    removeOnComplete: true,
    removeOnFail: { count: 50 },
  });
});

test('the error of an unreadable job shows at most 200 characters of the job', () => {
  const job = { v: 1, version: 'x'.repeat(10_000) };
  expect(() => parsePredictJob(job)).toThrow(/^.{1,280}$/);
  expect(() => parsePredictJob({ v: 2 })).toThrow('its format is 2, and this version reads format 1');
});

test.each([`1234 ${ID} m`, `x1 ${ID} m`, `1x ${ID} m`])('%j is no lift', (text) => {
  expect(parseLift(text)).toBeUndefined();
});

test('a lift can have a priority of three digits', () => {
  expect(parseLift(`100 ${ID} m`)).toEqual({ model: 'm', id: ID, priority: 100 });
});
