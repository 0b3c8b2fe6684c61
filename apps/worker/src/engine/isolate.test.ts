import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Attempt, chunk, isolate } from './isolate.ts';

type Poison = 'failed' | 'timeout' | 'died';

/** An engine on which some rows fail. Counts the calls. */
function engine(poison: ReadonlyMap<string, Poison>) {
  const calls: string[][] = [];
  const attempt = async (rows: readonly string[]): Promise<Attempt> => {
    calls.push([...rows]);
    const kinds = rows.map((row) => poison.get(row)).filter((kind) => kind !== undefined);
    // A fatal row ends the engine in every batch.
    const fatal = kinds.find((kind) => kind !== 'failed');
    if (fatal === 'timeout') return { kind: 'fatal', code: 'inference_timeout', detail: 'late' };
    if (fatal === 'died') return { kind: 'fatal', code: 'inference_failed', detail: 'gone' };
    if (kinds.length > 0) return { kind: 'failed', detail: 'bad' };
    return { kind: 'done', outputs: rows.map((row) => `out ${row}`), inferenceMs: 1 };
  };
  return { attempt, calls };
}

const batch = fc
  .integer({ min: 0, max: 40 })
  .chain((size) =>
    fc.tuple(
      fc.constant(size),
      fc.dictionary(fc.nat(39).map(String), fc.constantFrom<Poison>('failed', 'timeout', 'died')),
    ),
  )
  .map(([size, poison]) => ({
    rows: Array.from({ length: size }, (_, i) => String(i)),
    poison: new Map(Object.entries(poison)),
  }));

describe('isolate', () => {
  test('each row gets its own result, in order, and only the failing rows fail', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async ({ rows, poison }) => {
        const { attempt } = engine(poison);
        const results = await isolate(rows, attempt);
        expect(results).toHaveLength(rows.length);
        for (const [i, result] of results.entries()) {
          const kind = poison.get(rows[i]!);
          if (kind === undefined) expect(result).toMatchObject({ ok: true, output: `out ${i}` });
          else
            expect(result).toMatchObject({
              ok: false,
              code: kind === 'timeout' ? 'inference_timeout' : 'inference_failed',
            });
        }
      }),
      { numRuns: 2_000 },
    );
  });
  test('at most 2n - 1 calls, and one call when no row fails', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async ({ rows, poison }) => {
        const { attempt, calls } = engine(poison);
        await isolate(rows, attempt);
        expect(calls.length).toBeLessThanOrEqual(Math.max(0, 2 * rows.length - 1));
        if (!rows.some((row) => poison.has(row))) expect(calls.length).toBe(rows.length > 0 ? 1 : 0);
      }),
      { numRuns: 2_000 },
    );
  });
  test('one failing row of 64 costs 13 calls, or 65 calls when the row ends the engine', async () => {
    const rows = Array.from({ length: 64 }, (_, i) => String(i));
    for (const [kind, wanted] of [
      ['failed', 13],
      ['died', 65],
    ] as const) {
      const { attempt, calls } = engine(new Map([['37', kind]]));
      await isolate(rows, attempt);
      expect(calls).toHaveLength(wanted);
    }
  });
  test('a batch of a version that cannot be loaded is not split', async () => {
    let calls = 0;
    const results = await isolate(['a', 'b', 'c'], async () => {
      calls++;
      return { kind: 'hopeless', detail: 'no model' };
    });
    expect(calls).toBe(1);
    expect(results.map(({ ok }) => ok)).toEqual([false, false, false]);
  });
});

test('chunks are in order, bounded and complete', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 10 }), (rows, size) => {
      const parts = chunk(rows, size);
      expect(parts.flat()).toEqual(rows);
      for (const [i, part] of parts.entries())
        expect(i < parts.length - 1 ? part.length === size : part.length > 0 && part.length <= size).toBe(true);
    }),
  );
});
