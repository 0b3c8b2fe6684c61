import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Batcher, BatcherFull, type BatcherOptions } from './batcher.ts';

interface StartedBatch {
  items: number[];
  resolve: (results: string[]) => void;
  reject: (error: Error) => void;
}

/** A batcher whose batches the test ends, and for which the test ends the turns of the event loop. */
function manualTurns(maxItems: number) {
  const started: StartedBatch[] = [];
  const deferred: (() => void)[] = [];
  const batcher = new Batcher<number, string>({
    run: (items) => new Promise((resolve, reject) => started.push({ items, resolve, reject })),
    maxItems,
    fullConcurrency: 4,
    defer: (start) => deferred.push(start),
  });
  return { batcher, started, turn: () => deferred.splice(0).forEach((start) => void start()) };
}

/** A batcher that starts at once, as the commits of the ledger do. The test ends each batch. */
function manualBatches(given: Partial<BatcherOptions<number, void>> = {}) {
  const started: { items: number[]; end: PromiseWithResolvers<void> }[] = [];
  const batcher = new Batcher<number, void>({
    maxItems: 100,
    maxWaiting: 1_000,
    defer: (start) => start(),
    run: async (items) => {
      const end = Promise.withResolvers<void>();
      started.push({ items, end });
      await end.promise;
      return items.map(() => undefined);
    },
    ...given,
  });
  return { batcher, started };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a batcher that defers to the end of the turn', () => {
  test('starts an idle batch at the end of the turn, and gathers while a batch is in progress', async () => {
    const { batcher, started, turn } = manualTurns(10);
    const first = batcher.add(1);
    expect(started).toEqual([]);
    turn();
    expect(started.map(({ items }) => items)).toEqual([[1]]);
    const rest = [batcher.add(2), batcher.add(3)];
    turn();
    expect(started).toHaveLength(1);
    started[0]?.resolve(['a']);
    expect(await first).toBe('a');
    await settle();
    expect(started[1]?.items).toEqual([2, 3]);
    started[1]?.resolve(['b', 'c']);
    expect(await Promise.all(rest)).toEqual(['b', 'c']);
  });

  test('starts a full batch while another batch is in progress', () => {
    const { batcher, started, turn } = manualTurns(2);
    for (const item of [1]) void batcher.add(item);
    turn();
    for (const item of [2, 3]) void batcher.add(item);
    expect(started.map(({ items }) => items)).toEqual([[1], [2, 3]]);
  });

  test('is not drained while an item waits for the end of the turn', async () => {
    const { batcher, started, turn } = manualTurns(10);
    const item = batcher.add(1);
    let drained = false;
    void batcher.drain().then(() => {
      drained = true;
    });
    await settle();
    expect(drained).toBe(false);
    turn();
    started[0]?.resolve(['a']);
    expect(await item).toBe('a');
    await batcher.drain();
    expect(drained).toBe(true);
  });

  test('waits with a batch that is not full while full batches are in progress', async () => {
    const { batcher, started, turn } = manualTurns(2);
    for (const item of [1, 2, 3, 4, 5]) batcher.put(item, { onResult: () => {}, onError: () => {} });
    turn();
    expect(started.map(({ items }) => items)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    started[0]?.resolve(['', '']);
    await settle();
    expect(started).toHaveLength(2);
    started[1]?.resolve(['', '']);
    await settle();
    expect(started[2]?.items).toEqual([5]);
  });

  test('defers once for all items of a turn, and not while a batch is in progress', async () => {
    const deferred: (() => void)[] = [];
    const end = Promise.withResolvers<void>();
    const batcher = new Batcher<number, number>({
      run: (items) => end.promise.then(() => items),
      maxItems: 10,
      defer: (start) => deferred.push(start),
    });
    const all = [batcher.add(1), batcher.add(2), batcher.add(3)];
    expect(deferred).toHaveLength(1);
    deferred[0]?.();
    all.push(batcher.add(4));
    expect(deferred).toHaveLength(1);
    end.resolve();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
    void batcher.add(5);
    expect(deferred).toHaveLength(2);
  });

  test('shares a batch among the items of one turn of the event loop by default', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number, number>({
      run: async (items) => {
        batches.push(items);
        return items;
      },
      maxItems: 10,
    });
    expect(await Promise.all([batcher.add(1), batcher.add(2)])).toEqual([1, 2]);
    expect(batches).toEqual([[1, 2]]);
  });

  test('runs each item once, in order and within the limits, and a failure fails only its own batch', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.constantFrom('add', 'turn', 'resolve', 'reject'), { maxLength: 100 }),
        async (maxItems, steps) => {
          const { batcher, started, turn } = manualTurns(maxItems);
          const outcomes: Promise<string>[] = [];
          const failed = new Set<number>();
          let settled = 0;
          const endNext = async (ok: boolean) => {
            const batch = started[settled];
            if (!batch) return;
            settled += 1;
            if (ok) batch.resolve(batch.items.map(String));
            else {
              for (const item of batch.items) failed.add(item);
              batch.reject(new Error('no'));
            }
            await settle();
          };
          for (const step of steps) {
            expect(started.length - settled).toBeLessThanOrEqual(4);
            if (step === 'add') {
              const item = outcomes.length;
              outcomes.push(batcher.add(item).catch(() => 'failed'));
            } else if (step === 'turn') turn();
            else await endNext(step === 'resolve');
          }
          // No item may wait forever: a batch is always in progress, or starts at the end of the turn.
          for (let i = 0; i < steps.length + 2; i += 1) {
            turn();
            await endNext(true);
          }
          const results = await Promise.all(outcomes);
          expect(results).toEqual(results.map((_, item) => (failed.has(item) ? 'failed' : String(item))));
          expect(started.flatMap(({ items }) => items)).toEqual(results.map((_, item) => item));
          for (const { items } of started) expect(items.length).toBeLessThanOrEqual(maxItems);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a batcher that starts at once', () => {
  test('starts a batch while none is in progress, and gathers while one is', async () => {
    const { batcher, started } = manualBatches();
    const first = batcher.add(1);
    const others = [batcher.add(2), batcher.add(3), batcher.add(4)];
    expect(started.map(({ items }) => items)).toEqual([[1]]);
    expect(batcher.waiting).toBe(3);
    started[0]!.end.resolve();
    await first;
    await settle();
    expect(started[1]!.items).toEqual([2, 3, 4]);
    started[1]!.end.resolve();
    await Promise.all(others);
    await batcher.drain();
  });

  test('fails only the items of the batch that failed', async () => {
    const { batcher, started } = manualBatches();
    const first = batcher.add(1);
    const second = batcher.add(2);
    started[0]!.end.reject(new Error('connection lost'));
    await expect(first).rejects.toThrow('connection lost');
    await settle();
    started[1]!.end.resolve();
    await second;
  });

  test('limits the bytes of a batch and the bytes that wait', async () => {
    const { batcher, started } = manualBatches({ bytesOf: (item) => item, maxBytes: 10, maxWaitingBytes: 25 });
    const added = [batcher.add(1), batcher.add(6), batcher.add(5), batcher.add(14)];
    await expect(batcher.add(1)).rejects.toThrow(BatcherFull);
    for (let at = 0; at < 4; at += 1) {
      started[at]!.end.resolve();
      await settle();
    }
    await Promise.all(added);
    expect(started.map(({ items }) => items)).toEqual([[1], [6], [5], [14]]);
  });

  test('fills a batch to its bytes and its items, and the waiting bytes to their limit', async () => {
    const limits = { bytesOf: (item: number) => item, maxBytes: 10, maxWaitingBytes: 25, maxItems: 3 };
    const { batcher, started } = manualBatches(limits);
    // Larger than each limit, but no other item waits.
    const added = [batcher.add(100), batcher.add(5), batcher.add(5), batcher.add(1), batcher.add(1), batcher.add(13)];
    await expect(batcher.add(1)).rejects.toThrow(BatcherFull);
    for (let at = 0; at < 4; at += 1) {
      started[at]?.end.resolve();
      await settle();
    }
    await Promise.all(added);
    expect(started.map(({ items }) => items)).toEqual([[100], [5, 5], [1, 1], [13]]);
    const small = [1, 1, 1, 1, 1].map((item) => batcher.add(item));
    for (let at = 4; at < 7; at += 1) {
      started[at]?.end.resolve();
      await settle();
    }
    await Promise.all(small);
    expect(started.slice(4).every(({ items }) => items.length <= 3)).toBe(true);
  });

  test('drains when the last waiting item has ended, each time', async () => {
    const { batcher, started } = manualBatches();
    for (const at of [0, 2]) {
      let drained = false;
      const items = [batcher.add(at), batcher.add(at + 1)];
      const drain = batcher.drain();
      void drain.then(() => {
        drained = true;
      });
      expect(batcher.drain()).toBe(drain);
      for (const batch of [at, at + 1]) {
        await settle();
        expect(drained).toBe(false);
        started[batch]?.end.resolve();
      }
      await Promise.all(items);
      await drain;
    }
  });

  test('calls one method of a listener once, also when a run returns too many results', async () => {
    const calls: string[] = [];
    const batcher = new Batcher<number, string>({ run: async () => ['a', 'b'], maxItems: 1 });
    batcher.put(1, { onResult: (result) => calls.push(result), onError: (error) => calls.push(String(error)) });
    await batcher.drain();
    expect(calls).toEqual(['a']);
  });

  test('refuses items over the limit, and accepts items again when there is room', async () => {
    const { batcher, started } = manualBatches({ maxWaiting: 3, maxItems: 2 });
    const accepted = [batcher.add(0), batcher.add(1), batcher.add(2), batcher.add(3)];
    await expect(batcher.add(4)).rejects.toThrow(BatcherFull);
    started[0]!.end.resolve();
    await settle();
    accepted.push(batcher.add(5));
    for (let at = 1; at < 3; at++) {
      started[at]!.end.resolve();
      await settle();
    }
    await Promise.all(accepted);
  });

  test('drains at once when no item was added', async () => {
    const { batcher, started } = manualBatches();
    const drain = batcher.drain();
    expect(drain).toBeInstanceOf(Promise);
    await drain;
    expect(started).toEqual([]);
  });

  test('runs each item in one batch and reports the outcome of that batch, in every order of events', async () => {
    const callers = fc.array(fc.array(fc.nat(), { maxLength: 5 }), { maxLength: 30 });
    const limits = fc.record({
      maxItems: fc.integer({ min: 1, max: 12 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        callers,
        limits,
        fc.infiniteStream(fc.boolean()),
        async (s, all, given, fails) => {
          let id = 0;
          const itemsOf = all.map((items) => items.map(() => id++));
          const batches: { items: readonly number[]; failed: boolean }[] = [];
          let inProgress = 0;
          const batcher = new Batcher<number, void>({
            ...given,
            maxWaiting: 1_000,
            defer: (start) => start(),
            run: async (items) => {
              expect(++inProgress).toBeLessThanOrEqual(given.concurrency);
              const batch = { items, failed: fails.next().value === true };
              batches.push(batch);
              await s.schedule(Promise.resolve());
              inProgress--;
              if (batch.failed) throw new Error('failed');
              return items.map(() => undefined);
            },
          });
          const outcomes = Promise.all(
            itemsOf.map(async (items) => {
              await s.schedule(Promise.resolve());
              return Promise.all(
                items.map((item) =>
                  batcher.add(item).then(
                    () => 'written',
                    () => 'failed',
                  ),
                ),
              );
            }),
          );
          await s.waitFor(outcomes);
          await batcher.drain();
          const batchOf = new Map(batches.flatMap((batch) => batch.items.map((item) => [item, batch] as const)));
          expect(batchOf.size).toBe(id);
          expect(batches.reduce((sum, { items }) => sum + items.length, 0)).toBe(id);
          for (const [at, own] of (await outcomes).entries())
            expect(own).toEqual(itemsOf[at]!.map((item) => (batchOf.get(item)!.failed ? 'failed' : 'written')));
          for (const { items } of batches) expect(items.length).toBeLessThanOrEqual(given.maxItems);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('with failsAll', () => {
  test('the waiting items fail with a batch that fails, and no further batch starts', async () => {
    const fail = Promise.withResolvers<number[]>();
    let started = 0;
    const batcher = new Batcher<number, number>({
      run: () => {
        started += 1;
        return fail.promise;
      },
      maxItems: 8,
      defer: (start) => start(),
      failsAll: () => true,
    });
    const first = batcher.add(1);
    const behind = batcher.add(2);
    fail.reject(new Error('no reply'));
    await expect(first).rejects.toThrow('no reply');
    await expect(behind).rejects.toThrow('no reply');
    expect(started).toBe(1);
  });

  test('no item counts as waiting after the failure, and the batcher drains', async () => {
    const fail = Promise.withResolvers<void>();
    let started = 0;
    const { batcher } = manualBatches({
      run: async () => {
        started += 1;
        await fail.promise;
        return [];
      },
      maxItems: 10,
      maxWaiting: 10,
      failsAll: () => true,
    });
    const first = batcher.add(1);
    const behind = [batcher.add(2), batcher.add(3)];
    fail.reject(new Error('no reply'));
    await expect(first).rejects.toThrow('no reply');
    for (const item of behind) await expect(item).rejects.toThrow('no reply');
    expect([started, batcher.waiting]).toEqual([1, 0]);
    await batcher.drain();
  });

  test('later items have the whole room, and get their own results', async () => {
    const fail = Promise.withResolvers<number[]>();
    let runs = 0;
    const batcher = new Batcher<number, number>({
      run: (items) => {
        runs += 1;
        return runs === 1 ? fail.promise : Promise.resolve(items);
      },
      maxItems: 8,
      defer: (start) => start(),
      failsAll: () => true,
      bytesOf: (item) => item,
      maxWaitingBytes: 3,
    });
    const failed = [batcher.add(1), batcher.add(2)];
    fail.reject(new Error('no reply'));
    for (const item of failed) await expect(item).rejects.toThrow('no reply');
    expect(await Promise.all([batcher.add(9), batcher.add(1), batcher.add(2)])).toEqual([9, 1, 2]);
  });
});
