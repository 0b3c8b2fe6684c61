import { randomBytes } from 'node:crypto';
import { hashOfKey, newKey } from '@millrace/shared/tenants/api-keys';
import { beforeEach, describe, expect, test } from 'vitest';
import { KEY_OUTAGE_MS, KEY_TRUST_MS, KnownKeys } from './known-keys.ts';

const unchecked = () => `mrk_${randomBytes(32).toString('base64url')}`;

/** The table of keys in Postgres, and the look-ups with the pool of each. */
const stored = new Map<string, string>();
let lookUps: { pool: string; count: number }[] = [];
let now = 0;
/** Look-ups that wait until the test resolves them. */
let held: (() => void)[] = [];
let holding = '';

const find = (pool: string) => async (hashes: readonly Buffer[]) => {
  lookUps.push({ pool, count: hashes.length });
  if (pool === holding) await new Promise<void>((resolve) => held.push(resolve));
  return hashes.map((hash) => {
    const tenant = stored.get(hash.toString('hex'));
    return tenant === undefined ? undefined : { tenant, expiresAt: null };
  });
};
const store = (key: string, tenant: string) => stored.set(hashOfKey(key).toString('hex'), tenant);
const open = () =>
  new KnownKeys({
    findKnown: find('callers'),
    findUnknown: { checked: find('checked'), unchecked: find('unchecked') },
    now: () => now,
  });

beforeEach(() => {
  stored.clear();
  lookUps = [];
  held = [];
  holding = '';
  now = 0;
});

describe('KnownKeys', () => {
  test('a text that cannot be a key is refused without a look-up', () => {
    const keys = open();
    for (const text of ['', 'mrk_', `mrk_${'x'.repeat(49)}`, 'x'.repeat(150)])
      expect(keys.tenantOf(text)).toBeUndefined();
    expect(lookUps).toEqual([]);
  });

  test('a key of either form is found, and is then known without a look-up', async () => {
    const keys = open();
    for (const key of [newKey(), unchecked()]) {
      store(key, 'acme');
      expect(await keys.tenantOf(key)).toBe('acme');
      expect(keys.tenantOf(key)).toBe('acme');
    }
    expect(lookUps).toEqual([
      { pool: 'checked', count: 1 },
      { pool: 'unchecked', count: 1 },
    ]);
  });

  test('a revoked key is refused, and a new key works, after the trust time', async () => {
    const keys = open();
    const [old, late] = [newKey(), newKey()];
    store(old, 'acme');
    expect(await keys.tenantOf(old)).toBe('acme');
    expect(await keys.tenantOf(late)).toBeUndefined();
    stored.clear();
    store(late, 'acme');
    now += KEY_TRUST_MS - 1;
    expect([keys.tenantOf(old), keys.tenantOf(late)]).toEqual(['acme', undefined]);
    now += 1;
    expect([await keys.tenantOf(old), await keys.tenantOf(late)]).toEqual([undefined, 'acme']);
  });

  test('the trust time of a key starts when its look-up starts', async () => {
    const keys = open();
    const key = newKey();
    store(key, 'acme');
    holding = 'checked';
    const found = keys.tenantOf(key);
    await expect.poll(() => held.length).toBe(1);
    now += 4_000;
    held.pop()?.();
    expect(await found).toBe('acme');
    holding = '';
    stored.clear();
    now += KEY_TRUST_MS - 4_000;
    expect(await keys.tenantOf(key)).toBeUndefined();
  });

  test('unknown keys are looked up in batches, and never on the pool of the callers', async () => {
    const keys = open();
    const flood = Array.from({ length: 1_000 }, (_, at) => (at % 2 === 0 ? newKey() : unchecked()));
    const tenants = await Promise.all([...flood, ...flood].map((key) => keys.tenantOf(key)));
    expect(new Set(tenants)).toEqual(new Set([undefined]));
    expect(lookUps.some(({ pool }) => pool === 'callers')).toBe(false);
    expect(lookUps.length).toBeLessThan(20);
    expect(lookUps.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
    // The second time, the keys are refused from memory.
    for (const key of flood) expect(keys.tenantOf(key)).toBeUndefined();
  });

  test('unknown keys neither delay nor evict a known key', async () => {
    const keys = open();
    const known = newKey();
    store(known, 'acme');
    expect(await keys.tenantOf(known)).toBe('acme');
    now += KEY_TRUST_MS;
    holding = 'checked';
    const flood = Array.from({ length: 4_000 }, () => Promise.resolve(keys.tenantOf(newKey())));
    expect(await keys.tenantOf(known)).toBe('acme');
    expect(lookUps.filter(({ pool }) => pool === 'callers')).toEqual([{ pool: 'callers', count: 1 }]);
    holding = '';
    for (const go of held) go();
    await Promise.all(flood);
    for (let at = 0; at < 30_000; at += 1) await keys.tenantOf(newKey());
    expect(keys.tenantOf(known)).toBe('acme');
  });

  test('unknown keys are refused at once when too many wait, and known keys are not', async () => {
    const keys = open();
    const known = newKey();
    store(known, 'acme');
    await keys.tenantOf(known);
    holding = 'checked';
    const flood = Array.from({ length: 6_000 }, async () => keys.tenantOf(newKey()));
    await expect(Promise.all(flood)).rejects.toMatchObject({ code: 'store_unavailable', retryAfterS: 1 });
    now += KEY_TRUST_MS;
    expect(await keys.tenantOf(known)).toBe('acme');
    holding = '';
    const late = Promise.allSettled(flood);
    await expect
      .poll(() => {
        for (const go of held.splice(0)) go();
        return lookUps.reduce((sum, { count }) => sum + count, 0);
      })
      .toBeGreaterThan(4_000);
    await late;
  });

  test('a key whose look-up failed is looked up again', async () => {
    let fails = true;
    const keys = new KnownKeys({
      findKnown: find('callers'),
      findUnknown: {
        checked: async (hashes) => {
          if (fails) throw new Error('Postgres is away');
          return hashes.map(() => ({ tenant: 'acme', expiresAt: null }));
        },
        unchecked: find('unchecked'),
      },
    });
    const key = newKey();
    await expect(keys.tenantOf(key)).rejects.toThrow('Postgres is away');
    fails = false;
    expect(await keys.tenantOf(key)).toBe('acme');
  });

  describe('while Postgres does not respond', () => {
    let away = false;
    const [busy, idle] = [newKey(), newKey()];
    const openWith = (expiresAt: number | null = null) => {
      away = false;
      const lookUp = async (hashes: readonly Buffer[]) => {
        lookUps.push({ pool: 'any', count: hashes.length });
        if (away) throw new Error('Postgres is away');
        const owners = await find('any')(hashes);
        return owners.map((owner) => (owner ? { ...owner, expiresAt } : undefined));
      };
      return new KnownKeys({ findKnown: lookUp, findUnknown: { checked: lookUp, unchecked: lookUp }, now: () => now });
    };

    test('a known key keeps its tenant for an hour, and a busy key waits for no look-up', async () => {
      const keys = openWith();
      store(busy, 'acme');
      store(idle, 'acme');
      expect([await keys.tenantOf(busy), await keys.tenantOf(idle)]).toEqual(['acme', 'acme']);
      away = true;
      for (now = 2_500; now < 30_000; now += 500) {
        expect(keys.tenantOf(busy)).toBe('acme');
        // The look-up in the background fails meanwhile.
        await new Promise(setImmediate);
      }
      expect(await keys.tenantOf(idle)).toBe('acme');
      await expect(keys.tenantOf(newKey())).rejects.toThrow('Postgres is away');
      now = KEY_OUTAGE_MS + KEY_TRUST_MS;
      await expect(keys.tenantOf(idle)).rejects.toThrow('Postgres is away');
    });

    test('a key that was revoked meanwhile is refused as soon as Postgres responds again', async () => {
      const keys = openWith();
      store(busy, 'acme');
      await keys.tenantOf(busy);
      away = true;
      now = 60_000;
      expect(await keys.tenantOf(busy)).toBe('acme');
      away = false;
      stored.clear();
      now += 500;
      expect(keys.tenantOf(busy)).toBe('acme');
      await new Promise(setImmediate);
      await expect.poll(() => keys.tenantOf(busy)).toBeUndefined();
    });

    test('a key that expires meanwhile is refused', async () => {
      const keys = openWith(Date.now() - 1);
      store(busy, 'acme');
      await keys.tenantOf(busy);
      away = true;
      expect(keys.tenantOf(busy)).toBeUndefined();
      now = 60_000;
      expect(await keys.tenantOf(busy)).toBeUndefined();
    });
  });
});
