import { expect, test } from 'vitest';
import { freeBytes } from './free-bytes.ts';

const arrayBuffers = (): number => process.memoryUsage().arrayBuffers;

test('the memory of a large Buffer is free at once, and may be released twice', () => {
  const bytes = Buffer.allocUnsafe(32 * 1_048_576);
  const before = arrayBuffers();
  freeBytes(bytes);
  expect(before - arrayBuffers()).toBeGreaterThan(30 * 1_048_576);
  freeBytes(bytes);
  expect(bytes.length).toBe(0);
});

test('a Buffer that shares its memory keeps its bytes', () => {
  const whole = Buffer.alloc(100_000, 1);
  const shared = new SharedArrayBuffer(100_000);
  const kept = [whole.subarray(0, 50_000), whole.subarray(1), Buffer.from('short'), Buffer.from(shared)];
  const lengths = kept.map(({ length }) => length);
  for (const bytes of kept) freeBytes(bytes);
  expect(kept.map(({ length }) => length)).toEqual(lengths);
  expect(whole.equals(Buffer.alloc(100_000, 1))).toBe(true);
});
