import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { idBoundAt, isPredictionId, newPredictionId, SHARDS, shardOf, shardOfId, timeOfId } from './ids.ts';

test('the shard of a model never changes: the keys in Redis have the shard in their names', () => {
  // The first two bytes of SHA-256 are ba78 for `abc` and e3b0 for no text (FIPS 180-4).
  expect([shardOf('abc'), shardOf('')]).toEqual([0xba78 % 16, 0xe3b0 % 16]);
  const models = Array.from({ length: 10_100 }, (_, n) => `model-${n}`);
  const shards = models.map(shardOf);
  expect(models.map(shardOf)).toEqual(shards);
  expect(new Set(shards)).toEqual(new Set(Array.from({ length: SHARDS }, (_, shard) => shard)));
});

test('the shard of a model is computed once while at most 10,000 models are known', async () => {
  vi.resetModules();
  const fresh = await import('./ids.ts');
  const [set, clear] = [vi.spyOn(Map.prototype, 'set'), vi.spyOn(Map.prototype, 'clear')];
  const seen: number[][] = [];
  for (const models of [10_000, 10_000, 10_001]) {
    for (let n = 0; n < models; n += 1) fresh.shardOf(`model-${n}`);
    seen.push([set.mock.calls.length, clear.mock.calls.length]);
  }
  set.mockRestore();
  clear.mockRestore();
  expect(seen).toEqual([
    [10_000, 0],
    [10_000, 0],
    [10_001, 1],
  ]);
});

test.each([0, 1])('the first id of a process has its time, also at %d ms', async (ms) => {
  vi.resetModules();
  const fresh = await import('./ids.ts');
  expect(fresh.timeOfId(fresh.newPredictionId(3, ms))).toBe(ms);
});

test('an id is a UUIDv7 that carries its time and its shard', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 2 }), fc.integer({ min: 0, max: 4_095 }), (ms, shard) => {
      const id = newPredictionId(shard, ms);
      expect(isPredictionId(id), id).toBe(true);
      expect([timeOfId(id), shardOfId(id)]).toEqual([ms, shard]);
      expect(id >= idBoundAt(ms) && id < idBoundAt(ms + 1)).toBe(true);
    }),
  );
});

test('ids are unique, also when the random bytes are used up and made again, and each digit varies', () => {
  const ids = Array.from({ length: 2_000 }, (_, n) => newPredictionId(n % SHARDS, 1_000));
  expect(new Set(ids).size).toBe(ids.length);
  // The last 16 digits are random, except for two bits of the first digit.
  for (let at = 1; at <= 17; at += 1) {
    const place = 36 - at;
    if (place === 23) continue;
    expect(new Set(ids.map((id) => id[place])).size, `digit ${place}`).toBe(place === 19 ? 4 : 16);
  }
});
