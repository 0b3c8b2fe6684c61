import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Dispatcher, HandedBack } from './dispatcher.ts';

test('what gathers while a batch runs goes together, versions taking turns', async () => {
  const runs: { key: string; items: number[]; end: () => void }[] = [];
  const dispatcher = new Dispatcher<number>(() => 1);
  const run = (key: string) => (items: number[]) =>
    new Promise<void>((resolve) => runs.push({ key, items, end: resolve }));
  const all = [
    dispatcher.add('a', [1], 4, run('a')),
    dispatcher.add('a', [2, 3], 4, run('a')),
    dispatcher.add('b', [4], 4, run('b')),
    dispatcher.add('a', [5, 6], 4, run('a')),
    dispatcher.add('a', [7], 4, run('a')),
  ];
  for (let at = 0; at < 4; at += 1) {
    runs[at]?.end();
    await new Promise(setImmediate);
  }
  await Promise.all(all);
  expect(runs.map(({ key, items }) => [key, items])).toEqual([
    ['a', [1]],
    ['a', [2, 3, 5, 6]],
    ['b', [4]],
    ['a', [7]],
  ]);
});

test('every item runs once, in batches within bounds, and a failed run fails just its callers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), size: fc.integer({ min: 1, max: 6 }) }), {
        maxLength: 30,
      }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.scheduler(),
      async (adds, maxItems, inFlightMax, s) => {
        const dispatcher = new Dispatcher<number>(() => inFlightMax);
        const ran: number[] = [];
        const bad = new Set<number>();
        let underWay = 0;
        let next = 0;
        const outcomes = adds.map(({ key, size }) => {
          const items = Array.from({ length: size }, () => next++);
          const done = dispatcher.add(key, items, maxItems, async (batch) => {
            underWay += 1;
            expect(underWay).toBeLessThanOrEqual(inFlightMax);
            ran.push(...batch);
            await s.schedule(Promise.resolve());
            underWay -= 1;
            if (batch.includes(3)) {
              for (const item of batch) bad.add(item);
              throw new Error('no');
            }
          });
          return done.then(
            () => ({ items, ok: true }),
            () => ({ items, ok: false }),
          );
        });
        await s.waitFor(Promise.all(outcomes));
        expect([...ran].sort((x, y) => x - y)).toEqual(Array.from({ length: next }, (_, i) => i));
        for (const { items, ok } of await Promise.all(outcomes)) expect(items.some((i) => bad.has(i))).toBe(!ok);
        expect(dispatcher.waiting).toBe(0);
      },
    ),
    { numRuns: 200 },
  );
});

test('a worker that stops hands back what it has not begun, and ends what it has', async () => {
  const begun = Promise.withResolvers<void>();
  const dispatcher = new Dispatcher<number>(() => 1);
  const first = dispatcher.add('a', [1], 4, () => begun.promise);
  const second = dispatcher.add('a', [2], 4, () => begun.promise);
  dispatcher.handBack();
  await expect(second).rejects.toThrow(HandedBack);
  await expect(dispatcher.add('a', [3], 4, () => begun.promise)).rejects.toThrow(HandedBack);
  begun.resolve();
  await first;
  expect([dispatcher.inFlight, dispatcher.waiting]).toEqual([0, 0]);
});
