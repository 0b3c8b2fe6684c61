import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HIGH, LOW, NORMAL, priorities, stage, turn } from '../../../../tests/support/dispatcher-stage.ts';
import { Dispatcher, HandedBack, type ItemsRun } from './dispatcher.ts';
import { Pace } from './pace.ts';

test('what gathers while a batch runs goes together, versions taking turns', async () => {
  const { add, endAll, order } = stage();
  const all = [add('a', [1]), add('a', [2, 3]), add('b', [4]), add('a', [5, 6]), add('a', [7])];
  await endAll();
  await Promise.all(all);
  expect(order()).toEqual([
    ['a', [1]],
    ['a', [2, 3, 5, 6]],
    ['b', [4]],
    ['a', [7]],
  ]);
});

describe('the order', () => {
  test('is by priority, then by age, and a run of a slow model mixes no priorities', async () => {
    const { add, endAll, order } = stage({ maxBatch: 2 });
    const all = [
      add('a', [1, 2, 3]),
      add('a', [4], { priority: LOW }),
      add('a', [5], { addedAt: 20 }),
      add('a', [6], { addedAt: 10 }),
      add('a', [7], { priority: HIGH, addedAt: 30 }),
    ];
    await endAll(200);
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[1, 2], [7], [3, 6], [5], [4]]);
  });

  test('lets rows of lower priority fill a micro-batch that is short', async () => {
    const { add, endAll, order, paceOf } = stage({ maxBatch: 4 });
    paceOf('a').begin(0);
    paceOf('a').end(100, 100);
    const all = [add('a', [1]), add('a', [2, 3, 4, 5]), add('a', [6], { priority: HIGH })];
    await endAll();
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[1], [6, 2, 3, 4], [5]]);
  });

  test('of versions: the most urgent goes first', async () => {
    const { add, endAll, order } = stage();
    const all = [add('a', [1]), add('a', [2]), add('b', [3]), add('c', [4], { priority: HIGH })];
    await endAll();
    await Promise.all(all);
    expect(order().map(([key]) => key)).toEqual(['a', 'c', 'a', 'b']);
  });

  test('starves nobody: a held prediction rises by one priority every ten seconds', async () => {
    const { add, runs, clock } = stage({ maxBatch: 1 });
    void add('a', [0], { priority: HIGH });
    void add('a', [1], { priority: LOW });
    void add('a', [2], { addedAt: 5 });
    const begun = async (atMs: number): Promise<number | undefined> => {
      clock.ms = atMs;
      void add('a', [100 + atMs], { priority: HIGH, addedAt: 10 + atMs });
      runs.at(-1)?.end();
      await turn();
      return runs.at(-1)?.items[0];
    };
    expect(await begun(5_000)).toBe(5_100);
    expect(await begun(9_999)).toBe(10_099);
    expect(await begun(10_000)).toBe(2);
    expect(await begun(19_999)).toBe(10_100);
    expect(await begun(20_000)).toBe(1);
  });

  test('is that of a raised prediction from then on', async () => {
    const { add, endAll, order, dispatcher } = stage({ maxBatch: 1 });
    const all = [add('a', [1]), add('a', [2, 3, 4], { priority: LOW }), add('a', [5])];
    expect(dispatcher.raise((item) => item === 3, HIGH)).toBe(true);
    expect(dispatcher.raise((item) => item === 1, HIGH)).toBe(false);
    await endAll();
    await Promise.all(all);
    expect(order().map(([, items]) => items)).toEqual([[1], [3], [5], [2], [4]]);
  });
});

describe('the slots', () => {
  test('of urgent runs are not taken by others', async () => {
    const { add, runs } = stage({ slots: 2, maxBatch: 1 });
    void add('a', [1, 2, 3]);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
    void add('a', [4, 5, 6], { priority: HIGH });
    expect(runs.slice(2).map(({ items, priority }) => [items, priority])).toEqual([
      [[4], HIGH],
      [[5], HIGH],
    ]);
  });

  test('of other versions are not taken by a run that takes long', async () => {
    const { add, runs, clock } = stage({ slots: 1, maxBatch: 1 });
    void add('a', [1, 2], { rows: [10_000, 1] });
    void add('b', [3]);
    expect(runs).toHaveLength(1);
    clock.ms = 1_001;
    void add('c', [4]);
    expect(runs.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(runs).toHaveLength(2);
  });

  test('of other versions are not taken by runs that store large results', () => {
    const { add, runs } = stage({ slots: 2, maxBatch: 1 });
    void add('a', [1, 2, 3]);
    void add('b', [4]);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
    runs[0]?.store();
    expect(runs.map(({ items }) => items)).toEqual([[1], [2], [4]]);
    runs[1]?.store();
    // The stored results of a version are in memory, so their number stays bounded.
    expect(runs).toHaveLength(3);
    void add('c', [5]);
    void add('c', [6], { priority: LOW });
    expect(runs.slice(3).map(({ items }) => items)).toEqual([[5]]);
  });

  test('are not used for a second run of a version whose calls take long', async () => {
    const { add, runs } = stage({ slots: 3, maxBatch: 1 });
    const long = { callMs: () => 101 };
    void add('a', [1, 2, 3, 4], long);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
    void add('b', [5]);
    void add('b', [6], { priority: HIGH });
    void add('a', [7], { ...long, priority: HIGH });
    expect(runs.slice(2).map(({ items }) => items)).toEqual([[5], [6], [7]]);
    for (const at of [2, 3, 4]) runs[at]?.end();
    await turn();
    expect(runs).toHaveLength(5);
    runs[0]?.store();
    expect(runs.slice(5).map(({ items }) => items)).toEqual([[3, 4]]);
  });

  test('of a version with instances: one call at once of a version whose calls take long', () => {
    const { add, runs } = stage({ slots: 4, maxBatch: 1 });
    void add('a', [1, 2, 3], { instances: 1, callMs: () => 101 });
    void add('b', [4, 5, 6], { instances: 1 });
    expect(runs.map(({ items }) => items)).toEqual([[1], [4], [5]]);
  });

  test('are given back in time: a caller with many rows runs in parts of a tenth of a second', async () => {
    const { add, runs, clock, endAll, paceOf } = stage({ maxBatch: 1 });
    paceOf('a').begin(0);
    paceOf('a').end(125, 1_000);
    clock.ms = 1_000;
    const all = add(
      'a',
      Array.from({ length: 30 }, (_, n) => n),
    );
    await endAll();
    await all;
    expect(runs[0]?.items).toHaveLength(12);
    expect(runs.flatMap(({ items }) => items)).toHaveLength(30);
  });
});

test('waiting rows are counted by priority, each with its rows', () => {
  const { add, dispatcher, paceOf } = stage({ maxBatch: 1 });
  void add('a', [1]);
  void add('a', [2, 3], { rows: [10, 20] });
  void add('a', [4], { priority: LOW });
  void add('b', [5, 6]);
  expect(dispatcher.waitingRows(paceOf('a'))).toBe(31);
  expect(dispatcher.waitingRows(paceOf('a'), NORMAL)).toBe(30);
  expect(dispatcher.waitingRows(paceOf('a'), HIGH)).toBe(0);
  expect(dispatcher.waiting).toBe(5);
});

test('every item runs once, in batches within bounds, and a failed run fails just its callers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          key: fc.constantFrom('a', 'b', 'c'),
          size: fc.integer({ min: 1, max: 6 }),
          priority: fc.constantFrom(...priorities),
          addedAt: fc.nat({ max: 9 }),
        }),
        { maxLength: 30 },
      ),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.scheduler(),
      async (adds, maxBatch, slots, s) => {
        const clock = { ms: 0 };
        const dispatcher = new Dispatcher<number>({ slots: () => slots, priorities, now: () => clock.ms++ });
        const pace = new Pace();
        const ran: number[] = [];
        const bad = new Set<number>();
        const underWay = new Map<number, number>();
        let next = 0;
        const outcomes = adds.map(({ key, size, priority, addedAt }) => {
          const items = Array.from({ length: size }, () => next++);
          const run = async ({ items: batch, priority: urgency }: ItemsRun<number>): Promise<number> => {
            underWay.set(urgency, (underWay.get(urgency) ?? 0) + 1);
            const asUrgent = priorities.filter((one) => one <= urgency).map((one) => underWay.get(one) ?? 0);
            expect(asUrgent.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(slots);
            ran.push(...batch);
            await s.schedule(Promise.resolve());
            underWay.set(urgency, (underWay.get(urgency) ?? 0) - 1);
            if (!batch.includes(3)) return batch.length;
            for (const item of batch) bad.add(item);
            throw new Error('no');
          };
          const callMs = () => (key === 'a' ? 0 : 200);
          const done = dispatcher.add({ key, items, priority, addedAt, maxBatch, pace, callMs, run });
          return done.then(
            () => ({ items, ok: true }),
            () => ({ items, ok: false }),
          );
        });
        await s.waitFor(Promise.all(outcomes));
        const ended = await Promise.all(outcomes);
        expect(new Set(ran).size).toBe(ran.length);
        for (const { items, ok } of ended) {
          expect(items.some((item) => bad.has(item))).toBe(!ok);
          if (ok) expect(items.every((item) => ran.includes(item))).toBe(true);
        }
        expect([dispatcher.waiting, dispatcher.inFlight]).toEqual([0, 0]);
      },
    ),
    { numRuns: 200 },
  );
});

describe('a worker that stops', () => {
  test('hands back what it has not begun, and ends what it has', async () => {
    const { dispatcher, add, runs } = stage();
    const first = add('a', [1]);
    const second = add('a', [2]);
    dispatcher.handBack();
    await expect(second).rejects.toThrow(HandedBack);
    await expect(add('a', [3])).rejects.toThrow(HandedBack);
    runs[0]?.end();
    await first;
    expect([dispatcher.inFlight, dispatcher.waiting]).toEqual([0, 0]);
  });

  test('hands back a job that it has begun in part only when that part has ended', async () => {
    const { dispatcher, add, runs } = stage({ maxBatch: 1 });
    let ended = false;
    const job = add('a', [1, 2]).finally(() => {
      ended = true;
    });
    job.catch(() => {});
    dispatcher.handBack();
    await turn();
    expect(ended).toBe(false);
    runs[0]?.end();
    await expect(job).rejects.toThrow(HandedBack);
    expect(runs).toHaveLength(1);
  });
});
