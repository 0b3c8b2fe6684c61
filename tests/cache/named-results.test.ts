/** Tests cached values that name a prediction: the readers of the output, and the moment at which the cache gets the whole result. */
import { randomBytes } from 'node:crypto';
import { encodeNamed, outputChecksum } from '@millrace/shared/cache/named-result';
import { createResultCache, type NamedResults, type ResultCacheOptions } from '@millrace/shared/cache/result-cache';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { LongText } from '@millrace/shared/predictions/long-text';
import { describe, expect, test } from 'vitest';
import { createNamedResults } from '../../apps/api/src/predictions/named-results.ts';
import { newId, useLive } from '../lifecycle/live-fixture.ts';

const f = useLive();
const failures: unknown[] = [];
const output = new LongText(Array.from({ length: 32 }, () => Buffer.alloc(65_536, '1')));
const WHOLE = { body: null, output };
const TTL_MS = 60_000;

const cacheWith = (options: Partial<ResultCacheOptions> = {}) =>
  createResultCache(f.redis, f.keys, {
    onError: (error) => failures.push(error),
    onDamaged: () => failures.push('damaged'),
    ...options,
  });
const named = async (prediction = newId()) => ({
  prediction,
  storedAt: sharedNow(),
  freshUntil: sharedNow() + TTL_MS,
  bytes: output.length,
  checksum: await outputChecksum(output),
  isShown: true,
});

/** Stores a value that names a prediction. Returns its key. */
async function stored(): Promise<string> {
  const key = randomBytes(32).toString('hex');
  await cacheWith().put({ cacheKey: key, epoch: 0, value: encodeNamed(key, await named()), ttlMs: TTL_MS });
  return key;
}

const bytesAt = (key: string) => f.redis.strlen(f.keys.result(key));

describe('a cached value that names a prediction', () => {
  test('is read once for many callers, and is then the whole result', async () => {
    const key = await stored();
    const gate = Promise.withResolvers<void>();
    let reads = 0;
    const read: NamedResults['read'] = async () => {
      reads += 1;
      await gate.promise;
      return WHOLE;
    };
    const cache = cacheWith({ named: { read, ttlMs: () => TTL_MS } });
    const all = Promise.all([cache.get(key, 0), cache.getMany([key], 0), cache.get(key, 0)]);
    await expect.poll(() => reads, { interval: 5 }).toBe(1);
    gate.resolve();
    const [one, [two], three] = await all;
    for (const result of [one, two, three]) expect(result?.output).toMatchObject({ length: output.length });
    await expect.poll(() => bytesAt(key)).toBeGreaterThan(output.length);
    const whole = await cacheWith().get(key, 0);
    expect(whole?.freshUntil).toBe(one?.freshUntil);
    expect(whole?.output).toMatchObject({ length: output.length });
    expect([reads, failures]).toEqual([1, []]);
  });

  test.each([
    ['without a reader', undefined],
    ['of which no store has the output', { read: async () => null, ttlMs: () => TTL_MS }],
  ])('%s is a miss, and stays', async (_, reader) => {
    const key = await stored();
    const cache = cacheWith(reader && { named: reader });
    expect(await cache.get(key, 0)).toBeNull();
    expect(await bytesAt(key)).toBeLessThan(1_000);
    expect(await bytesAt(key)).toBeGreaterThan(0);
    expect(failures).toEqual([]);
  });

  test('whose read fails is a miss, and is read again by the next caller', async () => {
    const key = await stored();
    const reads: NamedResults['read'][] = [() => Promise.reject(new Error('a store fails')), async () => WHOLE];
    const cache = cacheWith({
      named: { read: (one) => reads.shift()?.(one) ?? Promise.resolve(null), ttlMs: () => 0 },
    });
    expect(await cache.get(key, 0)).toBeNull();
    expect(failures.splice(0)).toEqual([new Error('a store fails')]);
    expect((await cache.get(key, 0))?.output).toMatchObject({ length: output.length });
    // Where the result may not be stored, the value still names the prediction.
    expect(await bytesAt(key)).toBeLessThan(1_000);
  });
});

describe('the output of a named prediction', () => {
  const reader = (findEnded: (id: string) => Promise<TasklessRow | undefined>) =>
    createNamedResults({ base: '', live: f.live, findEnded, sharesQueue: false });
  const none = async () => undefined;

  /** A prediction whose live state has the output. */
  async function succeeded(): Promise<string> {
    const { id } = await f.submit();
    const [taken] = await f.take([id]);
    await f.finish(taken ?? { id, attempt: 1 }, { result: output });
    return id;
  }

  test('is in the live state', async () => {
    const id = await succeeded();
    const found = await reader(none).read(await named(id));
    expect(found?.output).toMatchObject({ length: output.length });
    const { pieces: [first] = [] } = found?.body && 'pieces' in found.body ? found.body : { pieces: [] };
    expect(first?.toString('latin1', 0, 100)).toContain('"id":"pred_');
    expect(await reader(none).read({ ...(await named(id)), isShown: false })).toMatchObject({ body: null });
  });

  test('is absent where the prediction has another output, no output, or no end', async () => {
    const id = await succeeded();
    const { id: open } = await f.submit();
    const right = await named(id);
    for (const other of [
      { ...right, bytes: right.bytes + 1 },
      { ...right, checksum: right.checksum ^ 1 },
      { ...right, prediction: newId() },
      { ...right, prediction: open },
    ])
      expect(await reader(none).read(other)).toBeNull();
  });

  test('is read from the ledger by two callers at a time, and is absent for a third', async () => {
    const gate = Promise.withResolvers<undefined>();
    let reads = 0;
    const { read } = reader(() => {
      reads += 1;
      return gate.promise;
    });
    const two = [read(await named()), read(await named())];
    await expect.poll(() => reads, { interval: 5 }).toBe(2);
    expect(await read(await named())).toBeNull();
    expect(reads).toBe(2);
    gate.resolve(undefined);
    expect(await Promise.all(two)).toEqual([null, null]);
    await read(await named());
    expect(reads).toBe(3);
  });

  test('is absent where a store fails, and a failed read frees its place', async () => {
    const { read } = reader(() => Promise.reject(new Error('Postgres does not respond')));
    for (let n = 0; n < 3; n += 1) expect(await read(await named())).toBeNull();
  });

  test('stays in the cache until the result expires, unless the cache shares the queue Redis', async () => {
    const one = await named();
    const { ttlMs } = reader(none);
    expect(ttlMs(one)).toBeGreaterThan(TTL_MS - 10_000);
    expect(ttlMs(one)).toBeLessThanOrEqual(TTL_MS);
    const shared = createNamedResults({ base: '', live: f.live, findEnded: none, sharesQueue: true });
    expect(shared.ttlMs(one)).toBe(0);
  });
});
