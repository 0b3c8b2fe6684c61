import { sealJson, unsealJson } from '@millrace/shared/cache/checksum';
import { ReadThrough, type ReadThroughOptions } from '@millrace/shared/cache/read-through';
import { type Connection, connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

let redis: Connection;
let keys: ReturnType<typeof keysFor>;
beforeAll(async () => {
  redis = connectTestRedis('producer');
  await waitForRedis(redis, 'The test Redis', 5_000);
});
afterAll(() => redis.quit());
beforeEach(() => {
  keys = keysFor(testPrefix());
});

function cache(given: Partial<ReadThroughOptions> = {}) {
  const queries = new ReadThrough({ redis, keys, ttlMs: 60_000, ...given });
  return {
    get: <T>(name: string, load: () => Promise<T>) => queries.get(name, load),
    getKept: <T>(name: string, load: () => Promise<T>) => queries.getKept(name, load),
    invalidate: (...names: string[]) => queries.invalidate(...names),
    close: () => queries.close(),
    counts: queries.counts,
  };
}

/** A load that ends when the test resolves or rejects its promise. */
function slowLoad<T>() {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const begun = Promise.withResolvers<void>();
  const load = () => {
    begun.resolve();
    return promise;
  };
  return { load, begun: begun.promise, resolve, reject };
}

describe('a query', () => {
  test('is loaded once and then read from the cache', async () => {
    const { get, counts } = cache();
    const load = vi.fn(async () => ({ a: [1, null, 'ü'] }));
    for (let i = 0; i < 3; i++) expect(await get('q', load)).toEqual({ a: [1, null, 'ü'] });
    expect(load).toHaveBeenCalledTimes(1);
    expect(counts).toEqual({ hits: 2, misses: 1, loads: 1, errors: 0 });
    expect(await redis.pttl(keys.query('q'))).toBeGreaterThan(50_000);
  });

  test.each([
    ['cut', (text: string) => text.slice(0, 12)],
    ['empty', () => ''],
    ['changed in one character', (text: string) => text.replace('7', '8')],
    ['of 0.1.0, without a checksum', (text: string) => text.trimEnd()],
    ['no value and no lease', () => 'x'.repeat(50)],
    ['a lease as long as a value', (text: string) => `l${text.repeat(2)}`],
  ])('that was stored and is now %s counts as absent: the value is loaded and stored again', async (_, damage) => {
    const onDamaged = vi.fn();
    const { get, counts } = cache({ onDamaged });
    const load = vi.fn(async () => ({ seven: 7, text: 'white space' }));
    await get('q', load);
    await redis.set(keys.query('q'), damage((await redis.get(keys.query('q'))) as string));
    for (let i = 0; i < 2; i++) expect(await get('q', load)).toEqual({ seven: 7, text: 'white space' });
    expect([load.mock.calls.length, onDamaged.mock.calls.length, counts.errors]).toEqual([2, 1, 0]);
  });

  test('whose key holds another type is loaded again and stored', async () => {
    const onDamaged = vi.fn();
    const { get, counts } = cache({ onDamaged });
    await redis.hset(keys.query('q'), 'a', 'b');
    expect(await get('q', async () => 1)).toBe(1);
    expect(await get('q', async () => 2)).toBe(1);
    expect([onDamaged.mock.calls.length, counts.errors]).toEqual([1, 0]);
  });

  test('that is kept is read and parsed once, until another process stores another value', async () => {
    const [reader, other] = [cache(), cache()];
    const bytes = vi.spyOn(redis, 'get');
    await other.getKept('q', async () => ({ n: 1, text: 'ü'.repeat(1_000) }));
    const first = await reader.getKept('q', async () => ({ n: 0, text: '' }));
    expect(first).toEqual({ n: 1, text: 'ü'.repeat(1_000) });
    bytes.mockClear();
    expect(await reader.getKept('q', async () => ({ n: 0, text: '' }))).toBe(first);
    expect(bytes).not.toHaveBeenCalled();
    // The same value after an invalidation needs no second parse.
    await other.invalidate('q');
    await other.getKept('q', async () => first);
    expect(await reader.getKept('q', async () => ({ n: 0, text: '' }))).toBe(first);
    await other.invalidate('q');
    await other.getKept('q', async () => ({ n: 2, text: '' }));
    expect(await reader.getKept('q', async () => ({ n: 0, text: '' }))).toEqual({ n: 2, text: '' });
    bytes.mockRestore();
  });

  test('that is kept is read again where a process of an older version has stored the value', async () => {
    const { get, getKept } = cache();
    await get('q', async () => ({ n: 1 }));
    expect(await getKept('q', async () => ({ n: 0 }))).toEqual({ n: 1 });
    await redis.set(keys.query('q'), `v${sealJson('{"n":2}')}`);
    expect(await getKept('q', async () => ({ n: 0 }))).toEqual({ n: 2 });
    // An older process reads the text of a newer process.
    await redis.del(keys.query('q'));
    await getKept('q', async () => ({ n: 3 }));
    expect(JSON.parse(unsealJson(((await redis.get(keys.query('q'))) ?? '').slice(1)) ?? '')).toEqual({ n: 3 });
  });

  test('can have null as its value', async () => {
    const { get } = cache();
    const load = vi.fn(async () => null);
    await get('q', load);
    expect(await get('q', load)).toBeNull();
    expect(load).toHaveBeenCalledTimes(1);
  });

  test('is loaded once for all simultaneous callers, in this process and in others', async () => {
    const processes = Array.from({ length: 5 }, () => cache());
    const load = vi.fn(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return 42;
    });
    const responses = await Promise.all(
      processes.flatMap(({ get }) => Array.from({ length: 20 }, () => get('q', load))),
    );
    expect(new Set(responses)).toEqual(new Set([42]));
    expect(load).toHaveBeenCalledTimes(1);
  });

  test('that fails rejects its waiting callers, and is loaded again by the next caller', async () => {
    const { get } = cache();
    const slow = slowLoad<number>();
    const first = get('q', slow.load);
    await slow.begun;
    const second = get('q', slow.load);
    slow.reject(new Error('no database'));
    await expect(first).rejects.toThrow('no database');
    await expect(second).rejects.toThrow('no database');
    expect(await get('q', async () => 1)).toBe(1);
  });

  test('does not wait forever for a process that died during the load', async () => {
    await redis.set(keys.query('q'), 'l-dead', 'PX', 200);
    expect(await cache({ leaseMs: 200 }).get('q', async () => 1)).toBe(1);
  });
});

describe('an invalidation', () => {
  test('makes the next caller load again', async () => {
    const { get, invalidate } = cache();
    await get('q', async () => 'old');
    await invalidate('q');
    expect(await get('q', async () => 'new')).toBe('new');
  });

  test.each(['in the same process', 'in another process'])('wins over an earlier slow load, %s', async (where) => {
    const reader = cache();
    const writer = where === 'in the same process' ? reader : cache();
    const slow = slowLoad<string>();
    const begunBefore = reader.get('q', slow.load);
    await slow.begun;
    await writer.invalidate('q');
    // Called after the change, while the earlier load still runs. The call must not join that load.
    expect(await reader.get('q', async () => 'new')).toBe('new');
    slow.resolve('old');
    expect(await begunBefore).toBe('old');
    expect(await reader.get('q', async () => 'newer')).toBe('new');
    expect(await cache().get('q', async () => 'newer')).toBe('new');
  });

  test('wins over an earlier slow load also without a call in between', async () => {
    const reader = cache();
    const slow = slowLoad<string>();
    const begunBefore = reader.get('q', slow.load);
    await slow.begun;
    await cache().invalidate('q');
    slow.resolve('old');
    await begunBefore;
    expect(await reader.get('q', async () => 'new')).toBe('new');
  });

  test('prevents a load without a lease from being stored', async () => {
    const reader = cache();
    const slow = slowLoad<string>();
    const begunBefore = reader.get('q', slow.load);
    await slow.begun;
    await redis.del(keys.query('q')); // evicted
    slow.resolve('old');
    await begunBefore;
    expect(await redis.exists(keys.query('q'))).toBe(0);
  });

  test('comes before the notification of a registry change', async () => {
    const readThrough = cache();
    await readThrough.get('registry:default', async () => 'old');
    const listener = connectTestRedis();
    const seen = new Promise((resolve, reject) => {
      listener.on('message', (_, tenant) => {
        readThrough.get('registry:default', async () => `new, notified of ${tenant}`).then(resolve, reject);
      });
    });
    await waitForRedis(listener, 'The listener', 5_000);
    await listener.subscribe(keys.registryChannel());
    const publish = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
    await announceRegistryChange({ readThrough, tenant: 'default', publish });
    expect(await seen).toBe('new, notified of default');
    listener.disconnect();
  });
});

describe('a dead cache', () => {
  test('causes one load at a time for simultaneous callers, and no errors', async () => {
    const dead = connectRedis('redis://127.0.0.1:1', 'producer');
    const onError = vi.fn();
    const { get, counts } = cache({ redis: dead, onError });
    const load = vi.fn(async () => 7);
    expect(await Promise.all([get('q', load), get('q', load), get('q', load)])).toEqual([7, 7, 7]);
    expect(load.mock.calls.length).toBeLessThanOrEqual(3);
    expect(counts.errors).toBe(onError.mock.calls.length);
    expect(counts.errors).toBeGreaterThan(0);
    dead.disconnect();
  });

  test('that returns has no value that was invalidated meanwhile', async () => {
    let reachable = true;
    const reach =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      (...args: A) =>
        reachable ? call(...args) : Promise.reject(new Error('out of reach'));
    const flaky = {
      get: reach((key: string) => redis.get(key)),
      getrange: reach((key: string, start: number, end: number) => redis.getrange(key, start, end)),
      del: reach((key: string) => redis.del(key)),
      set: reach((...args: [string, string, 'PX', number, 'NX', 'GET']) => redis.set(...args)),
      eval: reach((script: string, n: number, ...args: (string | number)[]) => redis.eval(script, n, ...args)),
    };
    const { get, invalidate, close } = cache({ redis: flaky });
    await get('q', async () => 'old');
    reachable = false;
    await invalidate('q');
    reachable = true;
    expect(await get('q', async () => 'new')).toBe('new');
    await vi.waitFor(async () => expect(await redis.exists(keys.query('q'))).toBe(0), { timeout: 60_000 });
    await vi.waitFor(async () => expect(await cache().get('q', async () => 'newest')).toBe('newest'), {
      timeout: 60_000,
    });
    close();
  });
});
