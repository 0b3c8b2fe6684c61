import {
  findKeyed,
  findPrediction,
  insertEachPromise,
  insertPromises,
  type LedgerRow,
  listPredictions,
  markRetried,
  markTerminal,
  openPromises,
  recordTerminal,
} from '@millrace/shared/ledger/ledger';
import { SCAN_ROWS } from '@millrace/shared/ledger/list-rows';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { NO_FACTS } from '@millrace/shared/predictions/timeline';
import { registerVersion } from '@millrace/shared/registry/registry';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { modelVersion } from '../registry/versions.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { promiseRow, terminalRow } from './rows.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 10, statementTimeoutMs: 10_000, applicationName: 'ledger' });
});
afterAll(() => pool.end());
beforeEach(async () => {
  await pool.query('TRUNCATE predictions');
});

const find = (id: string) => findPrediction(pool, 'default', id);
const NOW = Date.now();
const retry = (id: string, opening = 0, tenant = 'default') => markRetried(pool, { tenant, id, opening, nowMs: NOW });

describe('the prediction of an Idempotency-Key', () => {
  const key = (digit: string) => digit.repeat(32);
  const now = Date.now();
  const look = (...hashes: string[]) =>
    findKeyed(
      pool,
      hashes.map((hash) => ({ tenant: 'default', hash })),
      now - 1_000,
    );

  test('is the newest of its tenant, promised or not, in the order of the keys', async () => {
    const promised = promiseRow({ createdAt: now, idempotencyHash: `${key('a')}fingerprint` });
    const older = terminalRow({ createdAt: now - 10, idempotencyHash: key('b') });
    const newer = terminalRow({ createdAt: now, idempotencyHash: key('b') });
    const strange = promiseRow({ tenant: 'other', idempotencyHash: key('c') });
    await insertPromises(pool, [promised, strange, promiseRow()]);
    await recordTerminal(pool, [older, newer]);
    expect(await look(key('b'), key('c'), key('a'), key('b'))).toEqual([
      { id: newer.id, idempotencyHash: key('b'), createdAt: now },
      undefined,
      { id: promised.id, idempotencyHash: `${key('a')}fingerprint`, createdAt: now },
      { id: newer.id, idempotencyHash: key('b'), createdAt: now },
    ]);
  });

  test('is neither an expired nor a canceled prediction', async () => {
    const old = promiseRow({ createdAt: now - 2_000, idempotencyHash: key('a') });
    await insertPromises(pool, [old]);
    await recordTerminal(pool, [terminalRow({ createdAt: now, status: 'canceled', idempotencyHash: key('b') })]);
    expect(await look(key('a'), key('b'))).toEqual([undefined, undefined]);
  });
});

describe('a promise', () => {
  test('is found unchanged, by its own tenant only', async () => {
    const row = promiseRow({
      options: { webhook: { url: 'https://a.example/?q="\\\'ü' } },
      metadata: '{"note":"tab\\t, \u{1F600}"}',
      idempotencyHash: 'h',
    });
    await insertPromises(pool, [row]);
    const expected: LedgerRow = {
      ...row,
      status: 'queued',
      result: '',
      startedAt: null,
      completedAt: null,
      attempts: 0,
      opening: 0,
      inferenceMs: null,
      ...NO_FACTS,
      batchSize: null,
      promised: true,
      supersededAt: null,
    };
    expect(await find(row.id)).toEqual(expected);
    expect(await findPrediction(pool, 'other', row.id)).toBeUndefined();
  });

  test('whose data Postgres cannot store fails alone', async () => {
    const rows = Array.from({ length: 9 }, (_, n) => promiseRow({ version: n === 5 ? 'a\0b' : '1' }));
    const errors = await insertEachPromise(pool, rows);
    expect(errors.map((error) => error !== undefined)).toEqual(rows.map((_, n) => n === 5));
    for (const [n, row] of rows.entries()) expect(await find(row.id)).toEqual(n === 5 ? undefined : expect.anything());
  });

  test('can be written twice, and a promise after the end does not reopen the prediction', async () => {
    const kept = promiseRow();
    await recordTerminal(pool, [terminalRow({ id: kept.id })]);
    const twice = promiseRow();
    await insertPromises(pool, [twice, kept]);
    await insertPromises(pool, [{ ...twice, model: 'other' }]);
    expect(await find(kept.id)).toMatchObject({ status: 'succeeded' });
    expect(await find(twice.id)).toMatchObject({ model: 'm' });
    await insertPromises(pool, []);
  });
});

describe('a terminal state', () => {
  test('of a prediction without a promise is stored completely', async () => {
    const row = terminalRow({ status: 'failed', result: '{"code":"inference_failed"}', metadata: '1' });
    expect(await recordTerminal(pool, [row])).toEqual({ applied: 1, refused: [], deliveries: [], unstorable: [] });
    expect(await find(row.id)).toEqual({ ...row, promised: false, supersededAt: null });
  });

  test('ends a promise and leaves the request unchanged', async () => {
    const promise = promiseRow({ metadata: '"mine"' });
    await insertPromises(pool, [promise]);
    const end = terminalRow({ id: promise.id, metadata: '', inferenceMs: 0.125 });
    expect(await recordTerminal(pool, [end])).toMatchObject({ applied: 1 });
    expect(await find(promise.id)).toEqual({
      ...end,
      metadata: '"mine"',
      createdAt: promise.createdAt,
      expiresAt: promise.expiresAt,
      task: null,
      promised: true,
      supersededAt: null,
    });
  });

  test('is written once: no other status replaces it', async () => {
    const first = terminalRow({ status: 'canceled', result: '{"code":"canceled"}' });
    await recordTerminal(pool, [first]);
    for (const status of ['succeeded', 'failed', 'expired', 'canceled'] as const) {
      const { applied, refused } = await recordTerminal(pool, [
        { ...first, status, completedAt: first.completedAt + 9 },
      ]);
      expect([applied, refused]).toEqual([0, [first.id]]);
    }
    expect(await find(first.id)).toMatchObject({ status: 'canceled', completedAt: first.completedAt });
  });

  test('is replaced by a later opening unless it is a success, and never by a higher attempt of the same opening', async () => {
    const failed = terminalRow({ status: 'failed', attempts: 1 });
    await recordTerminal(pool, [failed]);
    const second = { ...failed, status: 'succeeded', attempts: 2 } as const;
    expect(await recordTerminal(pool, [second])).toMatchObject({ applied: 0 });
    expect(await recordTerminal(pool, [{ ...second, opening: 1 }])).toMatchObject({ applied: 1 });
    expect(await recordTerminal(pool, [{ ...failed, opening: 2, attempts: 3 }])).toMatchObject({ applied: 0 });
    expect(await find(failed.id)).toMatchObject({ status: 'succeeded', attempts: 2 });
  });

  test('is chosen from several in a call: the highest attempt, and the first of equal attempts', async () => {
    const row = terminalRow({ status: 'failed', attempts: 1 });
    const rows = [row, { ...row, attempts: 2, result: '"second"' }, { ...row, attempts: 2, result: '"third"' }];
    expect(await recordTerminal(pool, rows)).toMatchObject({ applied: 1, refused: [] });
    expect(await find(row.id)).toMatchObject({ attempts: 2, result: '"second"' });
  });

  test('that cannot be stored does not prevent the others of the call', async () => {
    const good = Array.from({ length: 7 }, () => terminalRow());
    const bad = terminalRow({ createdAt: Number.NaN, id: newPredictionId(0, Date.now()) });
    const { applied, unstorable } = await recordTerminal(pool, [...good.slice(0, 3), bad, ...good.slice(3)]);
    expect(applied).toBe(7);
    expect(unstorable).toEqual([{ id: bad.id, reason: expect.stringContaining('NaN') }]);
  });

  test('can contain any text', async () => {
    const row = terminalRow({
      result: 'NUL \u0000, half \ud800 a pair',
      options: { webhook: { url: 'https://a.example/\u0000\udfff\\u0000' } },
    });
    expect(await recordTerminal(pool, [row])).toMatchObject({ applied: 1, unstorable: [] });
    expect((await find(row.id))?.result).toBe('NUL \ufffd, half \ufffd a pair');
    expect((await find(row.id))?.options?.webhook?.url).toBe('https://a.example/\ufffd\ufffd\\u0000');
  });

  test('is written once by twenty simultaneous recorders', async () => {
    const rows = Array.from({ length: 200 }, () => terminalRow());
    const shuffled = () => [...rows].sort(() => Math.random() - 0.5);
    const recorded = await Promise.all(Array.from({ length: 20 }, () => recordTerminal(pool, shuffled())));
    expect(recorded.reduce((sum, { applied }) => sum + applied, 0)).toBe(200);
  });

  test('of a single prediction can be set directly', async () => {
    const promise = promiseRow();
    await insertPromises(pool, [promise]);
    const row = (await find(promise.id))!;
    const outcome = { status: 'expired', result: '{"code":"expired"}', completedAt: Date.now() } as const;
    expect(await markTerminal(pool, row, outcome)).toBe(true);
    expect(await markTerminal(pool, row, { ...outcome, status: 'canceled' })).toBe(false);
    expect(await find(promise.id)).toMatchObject({ ...outcome, task: promise.task });
  });
});

describe('a retry', () => {
  test('reopens a failed prediction under the next number and keeps its attempts', async () => {
    const failed = terminalRow({ status: 'failed', result: '{"code":"worker_lost"}', attempts: 4 });
    await recordTerminal(pool, [failed]);
    const row = await retry(failed.id);
    expect(row).toMatchObject({ status: 'queued', result: '', attempts: 4, opening: 1, completedAt: null });
    expect(row).toMatchObject({ task: failed.task, promised: true, supersededAt: failed.completedAt });
    expect(await retry(failed.id)).toBeUndefined();
    expect(await retry(failed.id, 1)).toBeUndefined();
  });

  test('is refused for a success, for another tenant and for another opening', async () => {
    const rows = [terminalRow(), terminalRow({ status: 'failed' })] as const;
    await recordTerminal(pool, rows);
    expect(await retry(rows[0].id)).toBeUndefined();
    expect(await retry(rows[1].id, 0, 'other')).toBeUndefined();
    expect(await retry(rows[1].id, 1)).toBeUndefined();
  });

  test('happens once for twenty simultaneous calls', async () => {
    const failed = terminalRow({ status: 'failed' });
    await recordTerminal(pool, [failed]);
    const all = await Promise.all(Array.from({ length: 20 }, () => retry(failed.id)));
    expect(all.filter((row) => row !== undefined)).toHaveLength(1);
    expect(await find(failed.id)).toMatchObject({ opening: 1 });
  });

  test('has as much time as the first request, for any number of retries', async () => {
    const row = terminalRow({ status: 'expired', expiresAt: NOW - 990_000, createdAt: NOW - 1_000_000 });
    await recordTerminal(pool, [row]);
    for (let opening = 0; opening < 4; opening += 1) {
      const nowMs = NOW + 60_000 * opening;
      const opened = await markRetried(pool, { tenant: 'default', id: row.id, opening, nowMs });
      expect(opened?.expiresAt).toBe(nowMs + 10_000);
      await recordTerminal(pool, [{ ...row, opening: opening + 1, completedAt: nowMs + 10_000 }]);
    }
    const timeless = terminalRow({ status: 'failed', expiresAt: null });
    await recordTerminal(pool, [timeless]);
    expect(await retry(timeless.id)).toMatchObject({ expiresAt: null });
  });

  test('is not undone by a late copy of an earlier end with any attempts and time', async () => {
    const failed = terminalRow({ status: 'failed', attempts: 2 });
    await recordTerminal(pool, [failed]);
    await retry(failed.id);
    const late = { ...failed, attempts: 3, completedAt: failed.completedAt + 100 };
    expect(await recordTerminal(pool, [failed])).toMatchObject({ applied: 0, refused: [failed.id] });
    expect(await recordTerminal(pool, [late])).toMatchObject({ applied: 0, refused: [failed.id] });
  });

  test('can be canceled before it runs, by a process whose clock is behind', async () => {
    const failed = terminalRow({ status: 'failed', attempts: 2 });
    await recordTerminal(pool, [failed]);
    await retry(failed.id);
    const canceled = { ...failed, opening: 1, status: 'canceled' as const, completedAt: failed.completedAt - 100 };
    expect(await recordTerminal(pool, [canceled])).toMatchObject({ applied: 1 });
    expect(await find(failed.id)).toMatchObject({ status: 'canceled', attempts: 2, opening: 1 });
    expect(await recordTerminal(pool, [{ ...canceled, attempts: 3, status: 'failed' }])).toMatchObject({ applied: 0 });
  });

  test('of a 0.1.0 process, which writes no number, is distinguished from the earlier end by its time', async () => {
    const failed = terminalRow({ status: 'failed', attempts: 2 });
    await recordTerminal(pool, [failed]);
    await pool.query(
      "UPDATE predictions SET status = 'queued', completed_at = NULL, superseded_at = completed_at WHERE id = $1",
      [failed.id],
    );
    expect(await recordTerminal(pool, [failed])).toMatchObject({ applied: 0, refused: [failed.id] });
    const canceled = { ...failed, status: 'canceled' as const, completedAt: failed.completedAt + 100 };
    expect(await recordTerminal(pool, [canceled])).toMatchObject({ applied: 1 });
  });

  test('whose ends arrive together, in any order, has each end written in the order of openings', async () => {
    const first = terminalRow({ status: 'canceled', options: { webhook: { url: 'https://a.example/' } } });
    const ends = [2, 0, 1].map((opening) => ({ ...first, opening, status: 'canceled' as const }));
    const { applied, deliveries } = await recordTerminal(pool, ends);
    expect([applied, deliveries.length]).toEqual([3, 3]);
    const { rows } = await pool.query('SELECT opening FROM events WHERE prediction = $1 ORDER BY sequence', [first.id]);
    expect(rows).toEqual([{ opening: 0 }, { opening: 1 }, { opening: 2 }]);
    expect(await find(first.id)).toMatchObject({ opening: 2 });
  });
});

describe('a list', () => {
  const at = (ms: number, given = {}) => terminalRow({ createdAt: NOW - ms, ...given });

  beforeEach(async () => {
    await pool.query('TRUNCATE models, model_versions, model_aliases CASCADE');
    for (const model of ['m', 'n']) await registerVersion(pool, modelVersion({ model }));
    await registerVersion(pool, modelVersion({ model: 'own', tenant: 'other' }));
  });

  test('has the newest predictions first, in pages, and only of its tenant', async () => {
    const rows = Array.from({ length: 7 }, (_, i) => at(1_000 * (i + 1), { model: i % 2 ? 'm' : 'n' }));
    await recordTerminal(pool, [...rows, at(5, { tenant: 'other' }), at(6, { tenant: 'other', model: 'own' })]);
    const pages: string[][] = [];
    for (let before: string | undefined; ; ) {
      const { rows: page } = await listPredictions(pool, 'default', { limit: 3, before });
      if (page.length === 0) break;
      pages.push(page.map(({ id }) => id));
      before = page.at(-1)!.id;
    }
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(pages.flat()).toEqual(rows.map(({ id }) => id));
    const { rows: ofOther } = await listPredictions(pool, 'other', { limit: 10 });
    expect(ofOther.map(({ model }) => model)).toEqual(['m', 'own']);
  });

  test('can be filtered by model, by status, or by both', async () => {
    const rows = [at(100, { status: 'failed' }), at(200), at(300, { model: 'n', status: 'failed' })];
    await recordTerminal(pool, rows);
    await insertPromises(pool, [promiseRow({ createdAt: NOW - 1_000 })]);
    const list = async (options: object) =>
      (await listPredictions(pool, 'default', { limit: 10, ...options })).rows.map(({ model, status }) => [
        model,
        status,
      ]);
    expect(await list({ model: 'm' })).toEqual([
      ['m', 'failed'],
      ['m', 'succeeded'],
      ['m', 'queued'],
    ]);
    expect(await list({ statuses: ['failed'] })).toEqual([
      ['m', 'failed'],
      ['n', 'failed'],
    ]);
    expect(await list({ statuses: ['queued'], model: 'm' })).toEqual([['m', 'queued']]);
    await expect(list({ statuses: ["x' OR true --"] })).rejects.toThrow(RangeError);
  });

  test('has the rows of a tenant below many rows of other tenants, also of a removed model', async () => {
    const rows = ['own', 'removed', 'm', 'own'].map((model, n) =>
      at(60_000 + n * 1_000, {
        tenant: 'other',
        model,
        metadata: '{"order":"B"}',
        status: n === 2 ? 'expired' : 'succeeded',
      }),
    );
    await recordTerminal(pool, [...rows, ...Array.from({ length: 3 * SCAN_ROWS }, (_, n) => at(n + 1))]);
    const ids = rows.map(({ id }) => id);
    const list = async (options: object) =>
      (await listPredictions(pool, 'other', { limit: 3, ...options })).rows.map(({ id }) => id);
    expect(await list({})).toEqual(ids.slice(0, 3));
    expect(await list({ before: ids[1] })).toEqual(ids.slice(2));
    expect(await list({ order: 'asc' })).toEqual([ids[3], ids[2], ids[1]]);
    expect(await list({ metadata: { order: 'B' } })).toEqual(ids.slice(0, 3));
    expect(await list({ version: '1', limit: 10 })).toEqual(ids);
    expect(await list({ statuses: ['succeeded', 'expired'], limit: 10 })).toEqual(ids);
    expect(await list({ ids: [ids[3]] })).toEqual([ids[3]]);
    expect((await listPredictions(pool, 'nobody', { limit: 3 })).rows).toEqual([]);
  });

  test('can be searched for rare metadata in bounded steps', async () => {
    const rare = at(10_000, { metadata: JSON.stringify({ order: 'A-17', 'say "no"': 'a\\b' }) });
    const many = Array.from({ length: 2 * SCAN_ROWS }, (_, i) => at(i + 1, { metadata: '{"order":"A-1"}' }));
    await recordTerminal(pool, [rare, ...many]);
    const search = (more: object) => listPredictions(pool, 'default', { limit: 5, ...more });
    const metadata = { order: 'A-17', 'say "no"': 'a\\b' };
    const first = await search({ metadata });
    expect(first).toEqual({ rows: [], reached: many[SCAN_ROWS - 1]!.id });
    const second = await search({ metadata, before: first.reached });
    expect(second).toEqual({ rows: [], reached: many.at(-1)!.id });
    const third = await search({ metadata, before: second.reached });
    expect([third.rows.map(({ id }) => id), third.reached]).toEqual([[rare.id], null]);
    const oldest = await search({ metadata, order: 'asc' });
    expect(oldest.rows.map(({ id }) => id)).toEqual([rare.id]);
  });
});

test('open promises are listed oldest first, once they are old enough', async () => {
  const nowMs = Date.now();
  const rows = Array.from({ length: 5 }, (_, i) => promiseRow({ createdAt: nowMs - 10_000 * (5 - i) }));
  await insertPromises(pool, rows);
  await recordTerminal(pool, [terminalRow({ id: rows[1]!.id })]);
  const open = async (more: object) =>
    (await openPromises(pool, { olderThanMs: 15_000, limit: 10, ...more })).map(({ id }) => id);
  expect(await open({})).toEqual([rows[0]!.id, rows[2]!.id, rows[3]!.id]);
  expect(await open({ limit: 1 })).toEqual([rows[0]!.id]);
  expect(await open({ after: rows[0]!.id })).toEqual([rows[2]!.id, rows[3]!.id]);
});

test('the search for open promises reads no terminal rows', async () => {
  await recordTerminal(
    pool,
    Array.from({ length: 2_000 }, () => terminalRow()),
  );
  await pool.query('ANALYZE predictions');
  const { rows } = await pool.query(
    `EXPLAIN SELECT id FROM predictions WHERE status IN ('queued', 'running') AND id > $1 ORDER BY id LIMIT 10`,
    ['00000000-0000-0000-0000-000000000000'],
  );
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  const today = `predictions_d${new Date().toISOString().slice(0, 10).replaceAll('-', '')}`;
  expect(plan).toMatch(new RegExp(`Index (Only )?Scan using ${today}_id_idx`));
  expect(plan).not.toContain(`Seq Scan on ${today}`);
});
