import type { QueueCounts } from '@millrace/shared/live/store';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import type { PendingOutputs, QueueMemory } from '@millrace/shared/queue/reserved-outputs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { QueueLoad } from './queue-load.ts';

const counts = (entered: number, left: number): QueueCounts => ({
  entered: { 1: 0, 5: entered, 9: 0 },
  left: { 1: 0, 5: left, 9: 0 },
});

// A read that one test has scheduled must not run in the next test, and schedule a further read on the clock of that test.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('the counts of a queue without new predictions are read again after 50 ms', async () => {
  const now = Date.now();
  let left = 0;
  let reads = 0;
  const live = {
    counts: async () => {
      reads += 1;
      return counts(40, left);
    },
  };
  const loads = new QueueLoad({
    live,
    readMemory: async () => ({ servers: [{ share: 0, limitBytes: 0 }], serverOf: [], pending: [] }),
    expectOutput: async () => {},
  });
  loads.observe('m', counts(40, 0), now);
  // The queue is full: each refusal reads the load.
  for (let ms = 0; ms <= 50; ms += 1) loads.current('m', now + ms);
  expect(reads).toBe(0);
  left = 10;
  loads.current('m', now + 51);
  await new Promise(setImmediate);
  expect(reads).toBe(1);
  expect(loads.current('m', now + 51).counts.left[5]).toBe(10);
});

const server = { share: 0.3, limitBytes: 1_000 };

/** A QueueLoad that reads a memory that the test may change, at `current` and every second. */
function loadsOf(memory: QueueMemory) {
  const expected: [string, number][] = [];
  const loads = new QueueLoad({
    live: { counts: async () => counts(1, 0) },
    readMemory: async () => memory,
    expectOutput: async (model, bytes) => void expected.push([model, bytes]),
  });
  const look = async (model: string, now: number) => {
    loads.current(model, now);
    await new Promise(setImmediate);
    return loads.current(model, now);
  };
  return { loads, look, expected };
}

test('the pending outputs of all models reserve memory, also outputs of predictions since the last read', async () => {
  const now = Date.now();
  const pending = [
    { model: 'elsewhere', entered: 9, outputs: 2, bytes: 100 },
    { model: 'm', entered: 7, outputs: 1, bytes: 50 },
  ];
  const { loads, look } = loadsOf({ servers: [server], serverOf: [], pending });
  expect(await look('m', now)).toMatchObject({ memoryShare: 0.3, reservedShare: 0.25, outputShare: 0.05 });
  loads.observe('m', counts(11, 6), now);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.45);
  // A prediction that left the queue is running, or the last read of the memory does not contain its output.
  loads.observe('m', counts(11, 11), now);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.45);
  pending[1] = { model: 'm', entered: 11, outputs: 0, bytes: 50 };
  await look('m', now + 5_000);
  expect(loads.current('m', now + 5_000).reservedShare).toBeCloseTo(0.2);
});

test('admitted predictions reserve memory before Redis counts them, followers too', async () => {
  const now = Date.now();
  const pending = [{ model: 'm', entered: 7, outputs: 1, bytes: 50 }];
  const { loads, look } = loadsOf({ servers: [server], serverOf: [], pending });
  await look('m', now);
  for (let n = 0; n < 4; n += 1) loads.admitted('m');
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.25);
  // Two predictions lead, and the others follow.
  loads.observe('m', counts(9, 0), now);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.25);
  pending[0] = { model: 'm', entered: 9, outputs: 5, bytes: 50 };
  await look('m', now + 5_000);
  expect(loads.current('m', now + 5_000).reservedShare).toBeCloseTo(0.25);
});

test('an output without a measured size has the expected size until a worker measures an output', async () => {
  const now = Date.now();
  const pending: PendingOutputs[] = [];
  const { loads, look, expected } = loadsOf({ servers: [server], serverOf: [], pending });
  expect(await look('m', now)).toMatchObject({ reservedShare: 0, outputShare: 0 });
  loads.expect('m', 80);
  loads.expect('m', 90);
  loads.admitted('m');
  expect(expected).toEqual([['m', 80]]);
  expect(loads.current('m', now)).toMatchObject({ reservedShare: 0.08, outputShare: 0.08 });
  pending.push({ model: 'm', entered: 1, outputs: 1, bytes: 20 });
  await look('m', now + 5_000);
  expect(loads.current('m', now + 5_000)).toMatchObject({ reservedShare: 0.02, outputShare: 0.02 });
  // Redis has lost its data.
  pending.splice(0);
  await look('m', now + 10_000);
  expect(loads.current('m', now + 10_000)).toMatchObject({ reservedShare: 0, outputShare: 0 });
  loads.expect('m', 80);
  expect(expected).toHaveLength(2);
});

test('on a cluster the server that has the keys of the model decides', async () => {
  const now = Date.now();
  const [a, b] = [shardOf('m'), shardOf('other')];
  expect(a).not.toBe(b);
  const { look } = loadsOf({
    servers: [
      { share: 0.9, limitBytes: 1_000 },
      { share: 0.1, limitBytes: 500 },
    ],
    serverOf: Array.from({ length: SHARDS }, (_, shard) => (shard === a ? 0 : 1)),
    pending: [
      { model: 'm', entered: 1, outputs: 1, bytes: 50 },
      { model: 'other', entered: 1, outputs: 2, bytes: 100 },
    ],
  });
  expect(await look('m', now)).toMatchObject({ memoryShare: 0.9, reservedShare: 0.05, outputShare: 0.05 });
  expect(await look('other', now)).toMatchObject({ memoryShare: 0.1, reservedShare: 0.4, outputShare: 0.2 });
});

test('while memory is reserved, the memory is read again without a request', async () => {
  vi.useFakeTimers();
  const pending = [{ model: 'm', entered: 7, outputs: 9, bytes: 50 }];
  const { loads } = loadsOf({ servers: [server], serverOf: [], pending });
  loads.current('m', 5_000);
  await vi.advanceTimersByTimeAsync(0);
  pending[0] = { model: 'm', entered: 7, outputs: 0, bytes: 50 };
  await vi.advanceTimersByTimeAsync(1_000);
  // The last read is recent: this call starts no read.
  expect(loads.current('m', Date.now())).toMatchObject({ reservedShare: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test('the rate at which the memory becomes free weighs newer reads more, and starts at the second read', async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  const read = { share: 0.6, limitBytes: 1_000 };
  const { look } = loadsOf({ servers: [read], serverOf: [], pending: [] });
  const freed = async (share: number, passMs: number) => {
    vi.setSystemTime(Date.now() + passMs);
    read.share = share;
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date'] });
    return (await look('m', Date.now())).freedPerMs;
  };
  expect(await freed(0.6, 0)).toBeUndefined();
  expect(await freed(0.5, 2_000)).toBeCloseTo(0.1 / 2_000, 12);
  // After the half-life the new rate weighs as much as the former rate.
  expect(await freed(0.5, 2_000)).toBeCloseTo(0.1 / 4_000, 12);
  expect(await freed(0.9, 2_000)).toBeCloseTo((0.1 / 4_000 - 0.4 / 2_000) / 2, 12);
});

test('the rate of the memory stays after a read of the same moment, and starts again with another number of servers', async () => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] });
  const servers = [{ share: 0.6, limitBytes: 1_000 }];
  const { loads } = loadsOf({ servers, serverOf: [], pending: [] });
  let ms = 1_000_000;
  const freedAfter = async (passMs: number, share: number) => {
    vi.setSystemTime(Date.now() + passMs);
    servers[0] = { share, limitBytes: 1_000 };
    // Each call is far from the last read in the time of the caller, so that it reads again.
    ms += 5_000_000;
    loads.current('m', ms);
    await new Promise(setImmediate);
    return loads.current('m', Date.now()).freedPerMs;
  };
  await freedAfter(0, 0.6);
  expect(await freedAfter(2_000, 0.5)).toBeCloseTo(0.1 / 2_000, 12);
  expect(await freedAfter(0, 0.4)).toBeCloseTo(0.1 / 2_000, 12);
  servers.push({ share: 0.1, limitBytes: 1_000 });
  expect(await freedAfter(2_000, 0.3)).toBeUndefined();
});

test('a read without servers keeps the memory of the last read', async () => {
  const now = Date.now();
  const memory: QueueMemory = { servers: [server], serverOf: [], pending: [] };
  const { loads, look } = loadsOf(memory);
  expect(await look('m', now)).toMatchObject({ memoryShare: 0.3 });
  Object.assign(memory, { servers: [] });
  expect(await look('m', now + 5_000)).toMatchObject({ memoryShare: 0.3 });
  expect(loads.memoryShare(now)).toBe(0.3);
});

test('the duration of a run is a moving mean', () => {
  const { loads } = loadsOf({ servers: [server], serverOf: [], pending: [] });
  const runMs = () => loads.current('m', Date.now()).runMs;
  expect(runMs()).toBeUndefined();
  loads.observeRun('m', 100);
  expect(runMs()).toBe(100);
  loads.observeRun('m', 200);
  expect(runMs()).toBe(110);
  loads.observeRun('m', 10);
  expect(runMs()).toBe(100);
});

test.each([
  ['nearly full', 0.35, 0, 100],
  ['nearly full with the reserved bytes', 0.25, 100, 100],
  ['not nearly full', 0.34, 0, 1_000],
])(
  'a request that finds the memory %s reads it again after more than the interval',
  async (_, share, bytes, intervalMs) => {
    const pending = bytes > 0 ? [{ model: 'm', entered: 1, outputs: 1, bytes }] : [];
    let reads = 0;
    const loads = new QueueLoad({
      live: { counts: async () => counts(1, 0) },
      readMemory: async () => {
        reads += 1;
        return { servers: [{ share, limitBytes: 1_000 }], serverOf: [], pending };
      },
      expectOutput: async () => {},
    });
    vi.useFakeTimers({ now: 1_000_000 });
    loads.current('m', 1_000_000);
    await vi.advanceTimersByTimeAsync(0);
    const readsAfter = async (ms: number, look: (nowMs: number) => unknown) => {
      look(1_000_000 + ms);
      await vi.advanceTimersByTimeAsync(0);
      return reads;
    };
    const current = (nowMs: number) => loads.current('m', nowMs);
    expect(await readsAfter(intervalMs, current)).toBe(1);
    expect(await readsAfter(intervalMs + 1, current)).toBe(2);
    expect(await readsAfter(1_000, (nowMs) => loads.memoryShare(nowMs))).toBe(2);
    expect(await readsAfter(1_001, (nowMs) => loads.memoryShare(nowMs))).toBe(3);
  },
);

test('an idle memory is read by the next request only, and a reserved one once a second', async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  const pending: PendingOutputs[] = [];
  const servers = [server, { share: 0.1, limitBytes: 1_000 }];
  const { loads } = loadsOf({ servers, serverOf: Array(SHARDS).fill(1), pending });
  loads.current('m', 1_000_000);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
  pending.push({ model: 'm', entered: 1, outputs: 1, bytes: 50 });
  loads.current('m', 1_005_000);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(1);
  pending[0] = { model: 'm', entered: 1, outputs: 2, bytes: 50 };
  await vi.advanceTimersByTimeAsync(999);
  expect(loads.current('m', Date.now()).reservedShare).toBeCloseTo(0.05);
  await vi.advanceTimersByTimeAsync(1);
  expect(loads.current('m', Date.now()).reservedShare).toBeCloseTo(0.1);
  vi.clearAllTimers();
});

test('an expected output reserves memory for the predictions that wait', async () => {
  const now = Date.now();
  const { loads, look } = loadsOf({ servers: [server], serverOf: [], pending: [] });
  await look('m', now);
  loads.observe('m', counts(3, 1), now);
  loads.expect('m', 80);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.16);
});

test('the memory of the fullest server is read again after a second', async () => {
  const now = Date.now();
  const read = { share: 0.2, limitBytes: 1_000 };
  const { loads } = loadsOf({ servers: [{ share: 0.1, limitBytes: 1_000 }, read], serverOf: [], pending: [] });
  const shareAt = async (ms: number) => {
    loads.memoryShare(now + ms);
    await new Promise(setImmediate);
    const share = loads.memoryShare(now + ms);
    // The second call may have started a read too.
    await new Promise(setImmediate);
    return share;
  };
  expect(loads.memoryShare(now)).toBe(0);
  expect(await shareAt(0)).toBe(0.2);
  read.share = 0.5;
  expect(await shareAt(900)).toBe(0.2);
  expect(await shareAt(5_000)).toBe(0.5);
  read.share = 0.05;
  expect(await shareAt(-5_000), 'the clock was set back').toBe(0.1);
});

test('a memory that is nearly full is read ten times a second', async () => {
  vi.useFakeTimers();
  const read = { share: 0.3, limitBytes: 1_000 };
  const pending = [{ model: 'm', entered: 1, outputs: 1, bytes: 50 }];
  const { loads } = loadsOf({
    servers: [{ share: 0, limitBytes: 1_000 }, read],
    serverOf: Array(SHARDS).fill(1),
    pending,
  });
  loads.current('m', Date.now());
  await vi.advanceTimersByTimeAsync(0);
  pending[0] = { model: 'm', entered: 1, outputs: 0, bytes: 50 };
  await vi.advanceTimersByTimeAsync(100);
  expect(loads.current('m', Date.now())).toMatchObject({ reservedShare: 0, memoryShare: 0.3 });
});

test('an unread, absent or unlimited memory reserves no share', async () => {
  const now = Date.now();
  const pending = [{ model: 'm', entered: 1, outputs: 1, bytes: 50 }];
  const unlimited = loadsOf({ servers: [{ share: 0, limitBytes: 0 }], serverOf: [], pending });
  expect(unlimited.loads.current('m', now)).toMatchObject({ memoryShare: 0, reservedShare: 0, outputShare: 0 });
  expect(await unlimited.look('m', now)).toMatchObject({ memoryShare: 0, reservedShare: 0, outputShare: 0 });
  const absent = loadsOf({ servers: [], serverOf: [], pending });
  expect(await absent.look('m', now)).toMatchObject({ memoryShare: 0, reservedShare: 0, outputShare: 0 });
});

test('one read of the counts and one read of the memory run at a time, and failed reads are repeated', async () => {
  const now = Date.now();
  let [counted, read] = [0, 0];
  const loads = new QueueLoad({
    live: {
      counts: () => {
        counted += 1;
        return Promise.reject(new Error('Redis is away'));
      },
    },
    readMemory: () => {
      read += 1;
      return Promise.reject(new Error('Redis is away'));
    },
    expectOutput: async () => {},
  });
  loads.current('m', now);
  loads.current('m', now);
  expect([counted, read]).toEqual([1, 1]);
  await new Promise(setImmediate);
  loads.current('m', now + 5_000);
  expect([counted, read]).toEqual([2, 2]);
});

test('the measured rate of the queue is in the load', () => {
  const now = Date.now();
  const { loads } = loadsOf({ servers: [server], serverOf: [], pending: [] });
  loads.observe('m', counts(1_000, 0), now);
  loads.observe('m', counts(1_000, 100), now + 200);
  expect(loads.current('m', now + 200).perMs).toBe(0.5);
});
