import { expect, test } from 'vitest';
import { IdleRelease } from './idle-release.ts';

const MIB = 1_048_576;

/** A process with 20 MiB, which a release restores. */
function processOf() {
  const state = { cpuMs: 1_000, heap: 20 * MIB, releases: 0 };
  const idle = new IdleRelease({
    full: false,
    cpuMs: () => state.cpuMs,
    heapBytes: () => state.heap,
    release: () => {
      state.releases += 1;
      state.cpuMs += 100;
      state.heap = 20 * MIB;
    },
  });
  /** The releases after a look, before which the process worked for some time and its heap grew. */
  const after = (workMs: number, growthMib: number): number => {
    state.cpuMs += workMs;
    state.heap += growthMib * MIB;
    idle.look();
    return state.releases;
  };
  return { after };
}

test('a process releases its memory when it is idle, and not while it works', () => {
  const { after } = processOf();
  expect(after(251, 0)).toBe(0);
  expect(after(250, 0)).toBe(1);
  expect(after(5_000, 60)).toBe(1);
  expect(after(0, 0)).toBe(2);
  expect(after(0, 60)).toBe(2);
});

test('a process that holds less than 12 MiB more than before keeps its memory', () => {
  const { after } = processOf();
  expect(after(0, 0)).toBe(1);
  after(5_000, 11);
  expect(after(0, 0)).toBe(1);
  // V8 itself has freed memory: the growth counts from there.
  expect(after(0, -13)).toBe(1);
  expect(after(0, 11)).toBe(1);
  expect(after(0, 1)).toBe(2);
});

test('light traffic meets at most one release in five seconds of processor time', () => {
  const { after } = processOf();
  expect(after(0, 0)).toBe(1);
  // 49 looks with 100 ms of work each, and the heap grows before each look.
  for (let look = 0; look < 49; look += 1) expect(after(100, 12)).toBe(1);
  expect(after(100, 12)).toBe(2);
});
