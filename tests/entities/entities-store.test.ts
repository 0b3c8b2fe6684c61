import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEntityCsv } from '@millrace/shared/entities/entity-csv';
import {
  countSet,
  digestOfEntities,
  findInSet,
  loadEntityNames,
  loadEntitySet,
  searchSet,
  upsertEntitySet,
} from '@millrace/shared/entities/entity-table';
import type { Entity } from '@millrace/shared/handler';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 20, statementTimeoutMs: 10_000, applicationName: 'entities' });
});
afterAll(() => pool.end());
beforeEach(async () => {
  await pool.query('TRUNCATE entity_sets, entities');
});

const row = (key: string, name: string, aliases: string[] = [], more: Partial<Entity> = {}): Entity => ({
  key,
  name,
  aliases,
  attributes: {},
  ...more,
});
const names = (rows: readonly { entity: Entity }[]) => rows.map(({ entity }) => entity.name);

describe('a set of rows', () => {
  test('is read back unchanged and in order, with exact vectors', async () => {
    const rows = [
      row('b', 'Beta', ['β', 'b2'], {
        attributes: { note: '"1",2' },
        vector: Float32Array.of(0.1, -0, Infinity, 1e-40),
      }),
      row('a', 'Alpha'),
    ];
    const digest = await upsertEntitySet(pool, { tenant: 'default', entity: 'letter', rows });
    expect(await loadEntitySet(pool, digest)).toEqual(rows);
    expect(await loadEntityNames(pool, digest)).toEqual(rows.map(({ vector: _, ...rest }) => rest));
    expect(await loadEntitySet(pool, 'f'.repeat(64))).toEqual([]);
  });

  test('of the bundled model is stored once by twenty simultaneous workers', async () => {
    const file = path.resolve(import.meta.dirname, '../../models/drug-interaction/entities/drug.csv');
    const rows = parseEntityCsv(readFileSync(file, 'utf8'), 'drug.csv');
    const digests = await Promise.all(
      Array.from({ length: 20 }, () => upsertEntitySet(pool, { tenant: 'default', entity: 'drug', rows })),
    );
    expect(new Set(digests)).toEqual(new Set([digestOfEntities(rows)]));
    expect(await loadEntitySet(pool, digests[0]!)).toEqual(rows);
    expect(await findInSet(pool, digests[0]!, '  WARFARIN ')).toMatchObject({ key: 'warfarin' });
    expect(await countSet(pool, digests[0]!)).toBe(rows.length);
  });

  test('is shared by callers with equal rows, and can have a digest that the caller chose', async () => {
    const rows = [row('a', 'Alpha')];
    const digest = await upsertEntitySet(pool, { tenant: 'default', entity: 'letter', rows });
    expect(await upsertEntitySet(pool, { tenant: 'other', entity: 'sign', rows })).toBe(digest);
    expect(await upsertEntitySet(pool, { tenant: 'default', entity: 'letter', rows, digest: 'file-digest' })).toBe(
      'file-digest',
    );
    const { rows: counted } = await pool.query('SELECT digest, count(*) FROM entities GROUP BY 1 ORDER BY 1');
    expect(counted.map(({ count }) => count)).toEqual([1, 1]);
    expect(names(await searchSet(pool, digest, { q: '', limit: 5, after: null }))).toEqual(['Alpha']);
  });

  test('has a different digest after any change', () => {
    const base = row('a', 'Alpha', ['x'], { attributes: { p: '1', q: '2' }, vector: Float32Array.of(1) });
    const variants: Entity[] = [
      { ...base, key: 'b' },
      { ...base, name: 'x', aliases: ['Alpha'] },
      { ...base, aliases: [] },
      { ...base, aliases: ['x', 'y'] },
      { ...base, attributes: { p: '2', q: '1' } },
      { ...base, vector: Float32Array.of(-1) },
      { ...base, vector: undefined },
    ];
    const digests = [base, ...variants].map((one) => digestOfEntities([one]));
    expect(new Set(digests).size).toBe(digests.length);
    expect(digestOfEntities([{ ...base, attributes: { q: '2', p: '1' } }])).toBe(digests[0]);
  });
});

describe('a look-up in a set', () => {
  let digest: string;
  beforeEach(async () => {
    digest = await upsertEntitySet(pool, {
      tenant: 'default',
      entity: 'drug',
      rows: [
        row('warfarin', 'Warfarin', ['coumadin']),
        row('asa', 'Acetylsalicylic  Acid', ['aspirin', '50%_off\\']),
        row('cou', 'Coumarin', ['warf-like']),
        row('prasa', 'Prasa', []),
      ],
    });
  });
  const find = async (name: string) => (await findInSet(pool, digest, name))?.key;
  const search = async (q: string, limit = 10) => names(await searchSet(pool, digest, { q, limit, after: null }));

  test('finds an entity by key, name or alias, in any spelling', async () => {
    expect(await find('asa')).toBe('asa');
    expect(await find(' acetylsalicylic\tACID')).toBe('asa');
    expect(await find('Aspirin')).toBe('asa');
    expect(await find('nothing')).toBeUndefined();
    expect(await find('nul\u0000')).toBeUndefined();
    expect(await findInSet(pool, 'f'.repeat(64), 'asa')).toBeUndefined();
  });

  test('returns matching prefixes of names first, then of aliases, then other matches', async () => {
    expect(await search('WAR')).toEqual(['Warfarin', 'Coumarin']);
    expect(await search('cou')).toEqual(['Coumarin', 'Warfarin']);
    expect(await search('asp')).toEqual(['Acetylsalicylic  Acid']);
    expect(await search('farin')).toEqual(['Warfarin']);
    expect(await search('')).toHaveLength(4);
    expect(await search('', 2)).toHaveLength(2);
    expect(await search('zzz')).toEqual([]);
  });

  test.each(['', 'a', 'cou'])('returns the results for "%s" in pages without gaps', async (q) => {
    const seen: string[] = [];
    let after = null;
    for (;;) {
      const page = await searchSet(pool, digest, { q, limit: 1, after });
      const [one] = page;
      if (!one) break;
      seen.push(...names(page));
      after = one.place;
    }
    expect(seen).toEqual(await search(q));
  });

  test('treats every character literally', async () => {
    expect(await search('%')).toEqual(['Acetylsalicylic  Acid']);
    expect(await search('_off\\')).toEqual(['Acetylsalicylic  Acid']);
    expect(await search("'; DROP TABLE entities --")).toEqual([]);
  });
});
