/** Tests the held predictions of a dispatcher: rows of several sizes, engines of a version, raised predictions, and events that only time brings. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { HIGH, LOW, NORMAL, stage, turn } from '../../../../tests/support/dispatcher-stage.ts';
import { Dispatcher, type ItemsRun } from './dispatcher.ts';
import { Pace } from './pace.ts';

describe('items with several rows', () => {
  test('gather until the micro-batch has its rows, and the rest follows in order', async () => {
    const { add, endAll, order } = stage({ maxBatch: 4 });
    const all = [add('a', [0]), add('a', [1, 2, 3], { rows: [2, 2, 3] }), add('a', [4, 5], { rows: [1, 1] })];
    await endAll(200);
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[0], [1, 2], [3, 4], [5]]);
  });

  test('count with all their rows', async () => {
    const { add, endAll, order } = stage({ maxBatch: 4 });
    const all = [add('a', [0]), add('a', [1, 2], { rows: [3, 2] })];
    await endAll(200);
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[0], [1], [2]]);
  });

  test('join another caller only while they fit', async () => {
    const { add, endAll, order } = stage({ maxBatch: 4 });
    const all = [add('a', [0]), add('a', [1], { rows: [3] }), add('a', [2, 3], { rows: [2, 1] }), add('a', [4])];
    await endAll(200);
    await Promise.all(all);
    // Two rows do not fit beside three, and no later item overtakes them.
    expect(order().map(([, items]) => items)).toEqual([[0], [1], [2, 3, 4]]);
  });

  test('run alone if one item has more rows than a micro-batch', async () => {
    const { add, endAll, order } = stage({ maxBatch: 4 });
    const all = [add('a', [0]), add('a', [1, 2], { rows: [9, 1] }), add('a', [3])];
    await endAll(200);
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[0], [1], [2, 3]]);
  });

  test('keep their rows when a part of the items has started or was raised', () => {
    const { add, dispatcher, paceOf, runs } = stage({ maxBatch: 4 });
    void add('a', [0], { priority: HIGH });
    void add('a', [1, 2, 3], { rows: [4, 5, 6] });
    expect(dispatcher.waitingRows(paceOf('a'))).toBe(15);
    dispatcher.raise((item) => item === 2, HIGH);
    expect(dispatcher.waitingRows(paceOf('a'), HIGH)).toBe(5);
    expect(dispatcher.waitingRows(paceOf('a'))).toBe(15);
    expect(runs).toHaveLength(1);
  });
});

describe('the engines of a version', () => {
  test('have one run more than there are engines, and other versions get the other slots', async () => {
    const { add, runs, clock } = stage({ slots: 4, maxBatch: 1 });
    void add('a', [1, 2, 3, 4], { instances: 1 });
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
    void add('b', [5, 6], { instances: 2 });
    expect(runs.map(({ key }) => key)).toEqual(['a', 'a', 'b', 'b']);
    clock.ms = 200;
    // The run of another version frees no engine of this version.
    runs[2]?.end();
    await turn();
    expect(runs).toHaveLength(4);
    runs[0]?.end();
    await turn();
    expect(runs[4]?.items).toEqual([3]);
    expect(runs).toHaveLength(5);
  });
});

describe('a raised prediction', () => {
  test('starts at once if its priority has a slot, and leaves no run without items', async () => {
    const { add, runs, dispatcher } = stage({ slots: 1, maxBatch: 1 });
    void add('a', [1]);
    void add('a', [2]);
    expect(runs).toHaveLength(1);
    expect(dispatcher.raise((item) => item === 2, HIGH)).toBe(true);
    expect(runs.map(({ items, priority }) => [items, priority])).toEqual([
      [[1], NORMAL],
      [[2], HIGH],
    ]);
    expect(dispatcher.waiting).toBe(0);
    for (const { end } of [...runs]) {
      end();
      await turn();
    }
    expect(runs).toHaveLength(2);
  });

  test('never falls, and the first item of a job can be raised', () => {
    const { add, dispatcher, paceOf } = stage({ slots: 1, maxBatch: 1 });
    void add('a', [1], { priority: HIGH });
    void add('a', [2, 3], { priority: HIGH });
    expect(dispatcher.raise((item) => item === 3, LOW)).toBe(true);
    expect(dispatcher.raise((item) => item === 2, HIGH)).toBe(true);
    expect(dispatcher.waitingRows(paceOf('a'), HIGH)).toBe(2);
    void add('a', [4, 5], { priority: LOW });
    expect(dispatcher.raise((item) => item === 4, NORMAL)).toBe(true);
    expect([dispatcher.waitingRows(paceOf('a'), NORMAL), dispatcher.waiting]).toEqual([3, 4]);
    // No empty rest of the job stays behind.
    expect(dispatcher.oldest()).toHaveLength(3);
  });
});

test('the oldest addition is known for each version and priority', () => {
  const { add, dispatcher } = stage({ maxBatch: 1 });
  expect(dispatcher.oldest()).toEqual([]);
  void add('a', [0], { priority: HIGH });
  void add('a', [1], { addedAt: 30 });
  void add('a', [2], { addedAt: 10 });
  void add('a', [3], { addedAt: 20 });
  void add('a', [4], { addedAt: 5, priority: LOW });
  void add('b', [5], { addedAt: 40 });
  expect(new Set(dispatcher.oldest())).toEqual(
    new Set([
      { key: 'a', priority: NORMAL, addedAt: 10 },
      { key: 'a', priority: LOW, addedAt: 5 },
      { key: 'b', priority: NORMAL, addedAt: 40 },
    ]),
  );
});

test('a run measures the pace of its model: rows in the time from its start to its end', async () => {
  const { add, runs, clock, paceOf } = stage();
  clock.ms = 500;
  const done = add('a', [1, 2, 3]);
  clock.ms = 600;
  runs[0]?.end();
  await done;
  expect(paceOf('a').rowsPerMs).toBeCloseTo(3 / 100);
});

test('without a clock of the test the dispatcher uses the monotonic clock of the process', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const dispatcher = new Dispatcher<number>({ slots: () => 1, priorities: [HIGH] });
  const pace = new Pace();
  const run = async ({ items }: ItemsRun<number>) => {
    vi.advanceTimersByTime(20);
    return items.length;
  };
  await dispatcher.add({ key: 'a', items: [1], priority: HIGH, addedAt: 0, maxBatch: 1, pace, callMs: () => 0, run });
  expect(pace.rowsPerMs).toBeCloseTo(1 / 20);
});

test('a priority that is in no list does not rise', async () => {
  const { add, runs, clock } = stage({ maxBatch: 4 });
  void add('a', [1], { priority: HIGH });
  void add('a', [2], { priority: 7 });
  void add('a', [3], { priority: NORMAL });
  clock.ms = 60_000;
  runs[0]?.end();
  await turn();
  // Both predictions have waited equally long, and only the prediction of a listed priority can rise.
  expect(runs.at(-1)?.items).toEqual([3]);
  expect(runs.at(-1)?.priority).toBe(HIGH);
});

describe('without an event', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('a run that has become long gives its slot to another version within a quarter of a second', () => {
    const { add, runs, clock } = stage({ slots: 1, maxBatch: 1 });
    void add('a', [1]);
    void add('b', [2]);
    vi.advanceTimersByTime(250);
    expect(runs).toHaveLength(1);
    clock.ms = 1_000;
    vi.advanceTimersByTime(250);
    expect(runs.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('a held prediction that has risen starts', () => {
    const { add, runs, clock } = stage({ slots: 1, maxBatch: 1 });
    clock.ms = 100_000;
    void add('a', [1]);
    void add('a', [2]);
    clock.ms = 109_999;
    vi.advanceTimersByTime(250);
    expect(runs).toHaveLength(1);
    clock.ms = 110_000;
    vi.advanceTimersByTime(250);
    expect(runs.map(({ items, priority }) => [items, priority])).toEqual([
      [[1], NORMAL],
      [[2], HIGH],
    ]);
  });

  test('the timer ends when nothing is held, starts again with the next held prediction, and ends with the worker', async () => {
    const { add, runs, dispatcher } = stage({ slots: 1, maxBatch: 1 });
    expect(vi.getTimerCount()).toBe(0);
    void add('a', [1]);
    expect(vi.getTimerCount()).toBe(0);
    const second = add('a', [2]);
    void add('a', [3]).catch(() => {});
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(1);
    for (const at of [0, 1]) {
      runs[at]?.end();
      await vi.advanceTimersByTimeAsync(0);
    }
    await second;
    vi.advanceTimersByTime(250);
    expect([runs.length, vi.getTimerCount()]).toEqual([3, 0]);
    const held = add('a', [4]);
    expect(vi.getTimerCount()).toBe(1);
    dispatcher.handBack();
    await expect(held).rejects.toThrow('the worker stops');
    expect(vi.getTimerCount()).toBe(0);
  });
});
