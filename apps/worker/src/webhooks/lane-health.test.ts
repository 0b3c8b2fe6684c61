import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { setUp } from '../../../../tests/support/scheduler-stage.ts';
import { LaneHealth } from './lane-health.ts';

const settled = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe('the health of a lane', () => {
  const LANES = 10_000;

  test('is prompt at first, and then the health of its last attempt', () => {
    const health = new LaneHealth();
    expect(health.poolOf({ name: 'a' })).toBe('prompt');
    for (const pool of ['stuck', 'suspect', 'prompt'] as const) {
      health.report({ name: 'a' }, pool);
      expect(health.poolOf({ name: 'a' })).toBe(pool);
    }
  });

  test('is the health of its group until its own first attempt, and no lane without a group shares a health', () => {
    const health = new LaneHealth();
    health.report({ name: 'a/1', group: 'a' }, 'stuck');
    health.report({ name: 'x' }, 'suspect');
    expect(health.poolOf({ name: 'a/2', group: 'a' })).toBe('stuck');
    expect(health.poolOf({ name: 'b/1', group: 'b' })).toBe('prompt');
    expect(health.poolOf({ name: 'y' })).toBe('prompt');
    health.report({ name: 'a/2', group: 'a' }, 'prompt');
    expect(health.poolOf({ name: 'a/3', group: 'a' })).toBe('prompt');
    expect(health.poolOf({ name: 'a/1', group: 'a' })).toBe('stuck');
  });

  test('is forgotten after reports of 10,000 other lanes, and prompt lanes without a group do not count', () => {
    const health = new LaneHealth();
    health.report({ name: 'first' }, 'stuck');
    health.report({ name: 'second' }, 'stuck');
    for (let n = 0; n < LANES - 2; n += 1) health.report({ name: `lane ${n}` }, 'suspect');
    for (let n = 0; n < LANES; n += 1) health.report({ name: `prompt ${n}` }, 'prompt');
    expect(health.poolOf({ name: 'first' })).toBe('stuck');
    // A new report makes the lane the youngest.
    health.report({ name: 'first' }, 'stuck');
    health.report({ name: 'one more' }, 'suspect');
    expect(health.poolOf({ name: 'first' })).toBe('stuck');
    expect(health.poolOf({ name: 'second' })).toBe('prompt');
    expect(health.poolOf({ name: 'lane 0' })).toBe('suspect');
  });
});

describe('the scheduler with failing lanes', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('starts attempts of a healthy lane as soon as hanging lanes are detected', async () => {
    const { add, running } = setUp();
    for (const lane of ['h1', 'h2', 'h3', 'h4', 'h5']) add(lane, 100);
    await settled();
    add('good', 1);
    await settled();
    expect(running('good')).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(running('good')).toBe(1);
  });

  test('recognizes lanes that hung before, and keeps all prompt slots for other lanes', async () => {
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

  test('does not queue a lane that failed quickly behind lanes that hang', async () => {
    const { add, running, endOne } = setUp();
    for (const lane of ['h1', 'h2', 'h3']) add(lane, 100);
    await vi.advanceTimersByTimeAsync(5_000);
    add('failed', 1);
    await settled();
    endOne('failed', false);
    await settled();
    add('failed', 1);
    await settled();
    expect(running('failed')).toBe(1);
  });

  test('applies the health of a group to new lanes, but not to lanes with a prompt attempt of their own', async () => {
    const { add, running, endOne } = setUp({ groupOf: ({ lane }) => lane.split('/')[0] });
    add('host/well', 1);
    await settled();
    endOne('host/well');
    for (let n = 0; n < 100; n++) add(`host/${n}`, 1);
    await vi.advanceTimersByTimeAsync(1_000);
    add('host/well', 1);
    add('other/good', 4);
    await settled();
    expect(running('other/good')).toBe(4);
    expect(running('host/well')).toBe(1);
  });

  test('claims only as many deliveries of a hanging lane as can start', async () => {
    const limits: number[] = [];
    const { add, endOne } = setUp({
      claim: async (lane, limit) => {
        limits.push(limit);
        return Array.from({ length: limit }, (_, number) => ({ lane, number }));
      },
      claimMost: 4,
    });
    add('a', 0);
    for (let n = 0; n < 12; n++) {
      await settled(5_001);
      endOne('a', false);
      await settled(50);
    }
    expect(limits[0]).toBe(4);
    expect(limits.at(-1)).toBe(1);
  });

  test('rests a lane longer after more failures, and not at all after a success', async () => {
    const { add, running, endOne } = setUp({ perLane: 1, restMs: { least: 50, most: 200 } });
    add('a', 100);
    await settled();
    for (let n = 0; n < 12; n++) {
      endOne('a', false);
      await settled(200);
    }
    endOne('a', false);
    await settled(199);
    expect(running('a')).toBe(0);
    await settled(1);
    endOne('a', true);
    await settled();
    expect(running('a')).toBe(1);
  });

  test('rests only the lane that keeps failing', async () => {
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
});
