import { describe, expect, test } from 'vitest';
import { RunSlots, type SlotRequest } from './run-slots.ts';

const [HIGH, NORMAL, LOW] = [1, 5, 9];

const request = (key: string, more: Partial<SlotRequest> = {}): SlotRequest => ({
  key,
  priority: NORMAL,
  instances: undefined,
  callMs: 0,
  ...more,
});

describe('a run', () => {
  test('takes a slot until it ends', () => {
    const slots = new RunSlots(() => 2);
    expect(slots.isFree(request('a'), 0)).toBe(true);
    const first = slots.begin('a', NORMAL, 0);
    expect(slots.isFree(request('b'), 0)).toBe(true);
    slots.begin('a', NORMAL, 0);
    expect([slots.taken, slots.isFree(request('a'), 0), slots.isFree(request('b'), 0)]).toEqual([2, false, false]);
    slots.end(first);
    expect([slots.taken, slots.isFree(request('b'), 0)]).toEqual([1, true]);
  });

  test('takes no slot from a more urgent run', () => {
    const slots = new RunSlots(() => 1);
    slots.begin('a', NORMAL, 0);
    const free = [HIGH, NORMAL, LOW].map((priority) => slots.isFree(request('a', { priority }), 0));
    expect(free).toEqual([true, false, false]);
  });

  test('of more than a second takes no slot from other versions', () => {
    const slots = new RunSlots(() => 1);
    slots.begin('a', NORMAL, 0);
    const free = (key: string, nowMs: number) => slots.isFree(request(key), nowMs);
    expect([free('b', 999), free('b', 1_000), free('a', 1_000)]).toEqual([false, true, false]);
  });

  test('that stores large results takes no slot from other versions', () => {
    const slots = new RunSlots(() => 2);
    const [first, second] = [slots.begin('a', NORMAL, 0), slots.begin('a', NORMAL, 0)];
    first.isStoring = true;
    second.isStoring = true;
    expect([slots.isFree(request('a'), 0), slots.isFree(request('b'), 0)]).toEqual([false, true]);
    slots.begin('b', NORMAL, 0);
    slots.begin('b', NORMAL, 0);
    expect([slots.isFree(request('b'), 0), slots.isFree(request('c'), 0)]).toEqual([false, false]);
  });
});

describe('a version', () => {
  test('with few instances has one run more than instances', () => {
    const slots = new RunSlots(() => 5);
    const free = () => slots.isFree(request('a', { instances: 1 }), 0);
    slots.begin('b', NORMAL, 0);
    slots.begin('a', NORMAL, 0);
    expect(free()).toBe(true);
    slots.begin('a', LOW, 0);
    expect([free(), slots.isFree(request('b', { instances: 1 }), 0)]).toEqual([false, true]);
  });

  test.each([
    [2, undefined, [true, false]],
    [3, undefined, [true, true, false]],
    [3, 1, [true, false]],
    [1, undefined, [true, false]],
  ])('whose calls take long has no prepared run: %d slots, %s instances', (count, instances, expected) => {
    const slots = new RunSlots(() => count);
    const free = expected.map(() => {
      const isFree = slots.isFree(request('a', { instances, callMs: 51 }), 0);
      slots.begin('a', NORMAL, 0);
      return isFree;
    });
    expect(free).toEqual(expected);
  });

  test('whose calls take long begins its next run while the last run stores its results', () => {
    const slots = new RunSlots(() => 2);
    const first = slots.begin('a', NORMAL, 0);
    const free = (more: Partial<SlotRequest>) => slots.isFree(request('a', more), 0);
    expect([free({ callMs: 51 }), free({ callMs: 50 })]).toEqual([false, true]);
    expect(free({ callMs: 51, priority: HIGH })).toBe(true);
    expect(slots.isFree(request('b', { callMs: 51 }), 0)).toBe(true);
    first.isStoring = true;
    expect(free({ callMs: 51 })).toBe(true);
  });
});
