import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lane } from './batcher.ts';

/** A lane whose sends are ended by hand, and whose turns of the event loop are too. */
function handLane(maxItems: number) {
  const sent: { items: number[]; resolve: (r: string[]) => void; reject: (e: Error) => void }[] = [];
  const deferred: (() => void)[] = [];
  const lane = new Lane<number, string>(
    (items) => new Promise((resolve, reject) => sent.push({ items, resolve, reject })),
    maxItems,
    (run) => deferred.push(run),
  );
  return { lane, sent, turn: () => deferred.splice(0).forEach((run) => void run()) };
}

test('an idle lane sends at the end of the turn, and gathers while a batch is under way', async () => {
  const { lane, sent, turn } = handLane(10);
  const first = lane.add(1);
  turn();
  expect(sent.map(({ items }) => items)).toEqual([[1]]);
  const rest = [lane.add(2), lane.add(3)];
  turn();
  expect(sent).toHaveLength(1);
  sent[0]?.resolve(['a']);
  expect(await first).toBe('a');
  await new Promise(setImmediate);
  expect(sent[1]?.items).toEqual([2, 3]);
  sent[1]?.resolve(['b', 'c']);
  expect(await Promise.all(rest)).toEqual(['b', 'c']);
});

test('a full batch does not wait for the one under way', () => {
  const { lane, sent, turn } = handLane(2);
  for (const item of [1]) void lane.add(item);
  turn();
  for (const item of [2, 3]) void lane.add(item);
  expect(sent.map(({ items }) => items)).toEqual([[1], [2, 3]]);
});

test('under any schedule nothing is lost or sent twice, order and bounds hold, a failure fails just its own', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.constantFrom('add', 'turn', 'resolve', 'reject'), { maxLength: 100 }),
      async (maxItems, steps) => {
        const { lane, sent, turn } = handLane(maxItems);
        const outcomes: Promise<string>[] = [];
        const failed = new Set<number>();
        let settled = 0;
        const settle = async (ok: boolean) => {
          const batch = sent[settled];
          if (!batch) return;
          settled += 1;
          if (ok) batch.resolve(batch.items.map(String));
          else {
            for (const item of batch.items) failed.add(item);
            batch.reject(new Error('no'));
          }
          await new Promise(setImmediate);
        };
        for (const step of steps) {
          expect(sent.length - settled).toBeLessThanOrEqual(4);
          if (step === 'add') {
            const item = outcomes.length;
            outcomes.push(lane.add(item).catch(() => 'failed'));
          } else if (step === 'turn') turn();
          else await settle(step === 'resolve');
        }
        // What waits may not wait for ever: something is always under way, or will be with the turn.
        for (let i = 0; i < steps.length + 2; i += 1) {
          turn();
          await settle(true);
        }
        const results = await Promise.all(outcomes);
        expect(results).toEqual(results.map((_, item) => (failed.has(item) ? 'failed' : String(item))));
        expect(sent.flatMap(({ items }) => items)).toEqual(results.map((_, item) => item));
        for (const { items } of sent) expect(items.length).toBeLessThanOrEqual(maxItems);
      },
    ),
    { numRuns: 300 },
  );
});

test('those behind a batch that fails fail with it where that is wanted', async () => {
  const fail = Promise.withResolvers<number[]>();
  let sent = 0;
  const lane = new Lane<number, number>(
    () => {
      sent += 1;
      return fail.promise;
    },
    8,
    (run) => run(),
    () => true,
  );
  const first = lane.add(1);
  const behind = lane.add(2);
  fail.reject(new Error('no answer'));
  await expect(first).rejects.toThrow('no answer');
  await expect(behind).rejects.toThrow('no answer');
  expect(sent).toBe(1);
});
