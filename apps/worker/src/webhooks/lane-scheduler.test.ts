import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Delivery, setUp } from '../../../../tests/support/scheduler-stage.ts';

const settled = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe('the scheduler', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('limits the attempts in progress of a lane, and makes all attempts in order', async () => {
    const { add, running, endOne, done, scheduler } = setUp();
    add('a', 40);
    await settled();
    expect(running('a')).toBe(4);
    while (running('a') > 0) {
      endOne('a');
      await settled();
    }
    expect(done.map(({ number }) => number)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(scheduler.underWay).toBe(0);
  });

  test('alternates between lanes when there are more lanes than slots', async () => {
    const { add, running, endOne, done, lanes } = setUp({ total: 2, perLane: 2 });
    add('a', 50);
    await settled();
    add('b', 3);
    add('c', 3);
    await settled();
    for (let i = 0; i < 16; i++) {
      for (const lane of lanes()) if (running(lane) > 0) endOne(lane);
      await settled();
    }
    const first = done.slice(0, 16).map(({ lane }) => lane);
    expect(first.filter((lane) => lane === 'b')).toHaveLength(3);
    expect(first.filter((lane) => lane === 'c')).toHaveLength(3);
  });

  test('allows more attempts in progress after successes, and fewer after failures', async () => {
    const { add, running, endOne } = setUp({ perLane: 6, total: 32 });
    add('a', 100);
    await settled();
    expect(running('a')).toBe(4);
    for (const expected of [5, 6, 6]) {
      endOne('a');
      await settled();
      expect(running('a')).toBe(expected);
    }
    endOne('a', false);
    await settled();
    for (let i = 0; i < 2; i++) {
      endOne('a', false);
      await settled(50);
    }
    expect(running('a')).toBe(4);
  });

  test('claims again when a lane is woken during a claim', async () => {
    const claims: ((deliveries: Delivery[]) => void)[] = [];
    const { scheduler, running } = setUp({ claim: () => new Promise((resolve) => claims.push(resolve)) });
    scheduler.wake('a');
    scheduler.wake('a');
    claims[0]?.([]);
    await settled();
    expect(claims).toHaveLength(2);
    claims[1]?.([{ lane: 'a', number: 1 }]);
    await settled();
    expect(running('a')).toBe(1);
  });

  test('returns unstarted deliveries on stop, starts no more attempts, and is idle after the last attempt', async () => {
    const { scheduler, add, running, endOne } = setUp({ claimMost: 10 });
    add('a', 10);
    await settled();
    expect(scheduler.stop().map(({ number }) => number)).toEqual([4, 5, 6, 7, 8, 9]);
    const idle = scheduler.idle();
    while (running('a') > 0) endOne('a');
    await idle;
    scheduler.wake('a');
    await settled();
    expect(scheduler.underWay).toBe(0);
  });

  test('skips deliveries whose claim has ended, and continues after a failed claim', async () => {
    const errors: string[] = [];
    let fails = true;
    const { scheduler, running, due } = setUp({
      held: ({ number }) => number !== 1,
      onError: (lane) => errors.push(lane),
      claim: async (lane, limit) => {
        if (fails) throw new Error('down');
        return (due.get(lane) ?? []).splice(0, limit);
      },
    });
    scheduler.wake('a');
    await settled();
    expect(errors).toEqual(['a']);
    fails = false;
    due.set(
      'a',
      [0, 1, 2].map((number) => ({ lane: 'a', number })),
    );
    scheduler.wake('a');
    await settled();
    expect(running('a')).toBe(2);
  });

  test('attempts each delivery once and within the limits, in any order of arrivals and ends', async () => {
    const steps = fc.array(
      fc.record({ lane: fc.constantFrom('a', 'b', 'c', 'd'), count: fc.nat(5), ends: fc.nat(4), well: fc.boolean() }),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (given) => {
        const { add, running, endOne, done, most, lanes, scheduler } = setUp({ total: 3, perLane: 2, claimMost: 3 });
        let added = 0;
        for (const { lane, count, ends, well } of given) {
          add(lane, count);
          added += count;
          await settled();
          for (let i = 0; i < ends; i++) endOne(lane, well);
          await settled();
          // Three slots in each of the three pools.
          expect(scheduler.underWay).toBeLessThanOrEqual(9);
        }
        for (let turn = 0; done.length < added && turn < 1_000; turn++) {
          for (const lane of lanes()) if (running(lane) > 0) endOne(lane);
          await settled(50);
        }
        expect(done).toHaveLength(added);
        expect(new Set(done).size).toBe(added);
        expect(most()).toBeLessThanOrEqual(2);
      }),
      { numRuns: 200 },
    );
  });
});
