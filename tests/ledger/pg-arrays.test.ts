import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { pgArray } from '@millrace/shared/postgres/pg-arrays';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 2, statementTimeoutMs: 10_000, applicationName: 'arrays' });
});
afterAll(() => pool.end());

const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(fc.option(arbitrary), { maxLength: 20 });

test('Postgres reads every array unchanged', async () => {
  const rows = fc.record({
    text: orNull(fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\u0000') && text.isWellFormed())),
    int8: orNull(fc.maxSafeInteger()),
    int4: orNull(fc.integer()),
    float8: orNull(fc.double({ noNaN: true })),
    bool: orNull(fc.boolean()),
    uuid: orNull(fc.uuid()),
  });
  await fc.assert(
    fc.asyncProperty(rows, async ({ text, int8, int4, float8, bool, uuid }) => {
      const { rows: found } = await pool.query(
        'SELECT $1::text[] AS text, $2::int8[] AS int8, $3::int4[] AS int4, $4::float8[] AS float8, $5::bool[] AS bool, $6::uuid[]::text[] AS uuid',
        [
          pgArray('text', text),
          pgArray('int8', int8),
          pgArray('int4', int4),
          pgArray('float8', float8),
          pgArray('bool', bool),
          pgArray('uuid', uuid),
        ],
      );
      const { int8: integers, ...others } = found[0];
      expect(others).toEqual({ text, int4, float8: float8.map((x) => (x === 0 ? expect.closeTo(0) : x)), bool, uuid });
      expect(integers.map((integer: string | null) => (integer === null ? null : Number(integer)))).toEqual(
        int8.map((x) => x && x + 0),
      );
    }),
    { numRuns: 200 },
  );
});
