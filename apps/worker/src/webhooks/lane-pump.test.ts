import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LanePump, type PumpOptions } from './lane-pump.ts';

interface Delivery {
  lane: string;
  number: number;
}

/** A pump over queues in memory, whose attempts end when the test says so. */
function setUp(given: Partial<PumpOptions<Delivery>> = {}) {
  const due = new Map<string, Delivery[]>();
  const underWay = new Map<string, { delivery: Delivery; end: (well: boolean) => void }[]>();
  const done: Delivery[] = [];
  let most = 0;
  const running = (lane: string) => underWay.get(lane)?.length ?? 0;
  const pump: LanePump<Delivery> = new LanePump<Delivery>({
    claim: async (lane, limit) => (due.get(lane) ?? []).splice(0, limit),
    perform: (delivery) =>
      new Promise((resolve) => {
        const mine = underWay.get(delivery.lane) ?? [];
        underWay.set(delivery.lane, mine);
        const entry = {
          delivery,
          end: (well: boolean) => {
            mine.splice(mine.indexOf(entry), 1);
            done.push(delivery);
            resolve(well);
          },
        };
        mine.push(entry);
        most = Math.max(most, mine.length);
      }),
    held: () => true,
    perLane: 4,
    total: 8,
    slowMs: 1_000,
    restMs: { least: 50, most: 50 },
    claimMost: 16,
    onError: () => {},
    ...given,
  });
  const add = (lane: string, count: number) => {
    const list = due.get(lane) ?? [];
    due.set(lane, list);
    for (let i = 0; i < count; i++) list.push({ lane, number: i });
    pump.wake(lane);
  };
  const endOne = (lane: string, well = true) => underWay.get(lane)?.[0]?.end(well);
  return { pump, due, add, running, endOne, done, most: () => most, lanes: () => [...underWay.keys()] };
}

const settled = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe('the pump', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('has at most so many attempts of one lane under way, and does all of them', async () => {
    const { add, running, endOne, done, pump } = setUp();
    add('a', 40);
    await settled();
    expect(running('a')).toBe(4);
    while (running('a') > 0) {
      endOne('a');
      await settled();
    }
    expect(done.map(({ number }) => number)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(pump.underWay).toBe(0);
  });

  test('lets lanes that hang hold up nobody for longer than it takes to see that they hang', async () => {
    const { add, running } = setUp();
    for (const lane of ['h1', 'h2', 'h3', 'h4', 'h5']) add(lane, 100);
    await settled();
    add('good', 1);
    await settled();
    expect(running('good')).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(running('good')).toBe(1);
  });

  test('knows the lanes that hung before, and keeps all slots of the prompt for others', async () => {
    const { add, running, endOne } = setUp();
    const hanging = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'];
    for (const lane of hanging) add(lane, 1);
    await vi.advanceTimersByTimeAsync(1_500);
    for (const lane of hanging) endOne(lane, false);
    await settled();
    for (const lane of hanging) add(lane, 100);
    await settled();
    add('good', 4);
    await settled();
    expect(running('good')).toBe(4);
    expect(hanging.reduce((sum, lane) => sum + running(lane), 0)).toBe(8);
  });

  test('takes turns between lanes when there are more of them than slots', async () => {
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

  test('gives a lane that does well more at once, and takes it back when it fails', async () => {
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

  test('lets a lane that goes on failing rest, and no other', async () => {
    const { add, running, endOne } = setUp({ perLane: 1 });
    add('failing', 10);
    add('good', 10);
    await settled();
    endOne('failing', false);
    await settled();
    expect(running('failing')).toBe(1);
    endOne('failing', false);
    endOne('good');
    await settled(49);
    expect(running('failing')).toBe(0);
    expect(running('good')).toBe(1);
    await settled(1);
    expect(running('failing')).toBe(1);
  });

  test('finds what becomes due while it asks', async () => {
    const answers: ((deliveries: Delivery[]) => void)[] = [];
    const { pump, running } = setUp({ claim: () => new Promise((resolve) => answers.push(resolve)) });
    pump.wake('a');
    pump.wake('a');
    answers[0]?.([]);
    await settled();
    expect(answers).toHaveLength(2);
    answers[1]?.([{ lane: 'a', number: 1 }]);
    await settled();
    expect(running('a')).toBe(1);
  });

  test('gives back what it has not begun, begins nothing more, and is idle when the last has ended', async () => {
    const { pump, add, running, endOne } = setUp({ claimMost: 10 });
    add('a', 10);
    await settled();
    expect(pump.stop().map(({ number }) => number)).toEqual([4, 5, 6, 7, 8, 9]);
    const idle = pump.idle();
    while (running('a') > 0) endOne('a');
    await idle;
    pump.wake('a');
    await settled();
    expect(pump.underWay).toBe(0);
  });

  test('leaves what it no longer holds, and survives a store that fails', async () => {
    const errors: string[] = [];
    let fails = true;
    const { pump, running, due } = setUp({
      held: ({ number }) => number !== 1,
      onError: (lane) => errors.push(lane),
      claim: async (lane, limit) => {
        if (fails) throw new Error('down');
        return (due.get(lane) ?? []).splice(0, limit);
      },
    });
    pump.wake('a');
    await settled();
    expect(errors).toEqual(['a']);
    fails = false;
    due.set(
      'a',
      [0, 1, 2].map((number) => ({ lane: 'a', number })),
    );
    pump.wake('a');
    await settled();
    expect(running('a')).toBe(2);
  });

  test('under any order of arrivals and ends attempts each once, within its limits', async () => {
    const steps = fc.array(
      fc.record({ lane: fc.constantFrom('a', 'b', 'c', 'd'), count: fc.nat(5), ends: fc.nat(4), well: fc.boolean() }),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const { add, running, endOne, done, most, lanes, pump } = setUp({ total: 3, perLane: 2, claimMost: 3 });
        let added = 0;
        for (const { lane, count, ends, well } of plan) {
          add(lane, count);
          added += count;
          await settled();
          for (let i = 0; i < ends; i++) endOne(lane, well);
          await settled();
          // Three of the prompt and three of the suspect.
          expect(pump.underWay).toBeLessThanOrEqual(6);
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
