/** Tests the filters of the list of predictions, and the inputs of predictions. */

import { problem } from '@millrace/shared/errors';
import { insertPromises, recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool } from '@millrace/shared/postgres/db';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { beforeAll, describe, expect, test } from 'vitest';
import { promiseRow, terminalRow } from '../ledger/rows.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo']);

const NOON = Date.parse('2026-01-31T12:00:00Z');
const MINUTE = 60_000;
const task = (shape: string, rows: string[]) =>
  JSON.stringify({ shape, rows, keys: rows.map(() => null), digest: 'd', epoch: 0 });
const tensor = '{"x":{"dtype":"float32","dims":[1,2],"data":"AACAPwAAAEA="}}';
const failure = (code: 'inference_failed' | 'inference_timeout') => JSON.stringify(problem(code, 'It failed.'));

// One prediction for each minute, the oldest first.
const rows = [
  terminalRow({ metadata: '{"order":"A-17","region":"eu"}' }),
  terminalRow({ status: 'failed', result: failure('inference_failed'), task: task('one', ['{"a":1}']) }),
  terminalRow({
    status: 'failed',
    result: failure('inference_timeout'),
    metadata: '{"order":"A-17"}',
    task: task('list', ['{"a":1}', '{"a":2}']),
    list: true,
  }),
  terminalRow({ status: 'expired', result: failure('inference_failed'), task: task('tensors', [tensor, tensor]) }),
].map((row, minute) => {
  const { id } = promiseRow({ model: 'echo', createdAt: NOON + minute * MINUTE });
  return { ...row, id, model: 'echo', createdAt: NOON + minute * MINUTE };
});
const [succeeded, failed, timedOut, expired] = rows.map(({ id }) => publicId('pred', id));

beforeAll(async () => {
  const pool = createPool({
    databaseUrl: millrace.env.DATABASE_URL as string,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'list-filters',
  });
  // In one transaction, because the reconciler would expire an old promise between the two.
  await pool.query('BEGIN');
  await insertPromises(pool, rows);
  await recordTerminal(pool, rows);
  await pool.query('COMMIT');
  await pool.end();
});

interface Item {
  id: string;
  input: unknown;
  inputs: unknown;
}
const get = (query: string) => millrace.request<{ [name: string]: Item[] }>(`/v1/predictions?${query}`);
const itemsOf = (body: { [name: string]: unknown }) => body.data as Item[];
const ids = async (query: string) => {
  const { body } = await get(query);
  return itemsOf(body).map(({ id }) => id);
};

describe('the list of predictions', () => {
  test('can be filtered by several statuses', async () => {
    expect(await ids('status=failed,expired')).toEqual([expired, timedOut, failed]);
    expect(await ids('status=succeeded,expired')).toEqual([expired, succeeded]);
  });

  test('can be filtered by the time of creation', async () => {
    expect(await ids('created_after=2026-01-31T12:00:00Z&created_before=2026-01-31T12:02:00Z')).toEqual([failed]);
    expect(await ids('created_after=2026-01-31T13:01:00%2B01:00')).toEqual([expired, timedOut]);
  });

  test('can be filtered by metadata, error and the beginning of an id', async () => {
    expect(await ids('metadata.order=A-17')).toEqual([timedOut, succeeded]);
    expect(await ids('metadata.order=A-17&metadata.region=eu')).toEqual([succeeded]);
    expect(await ids('metadata.order=A-1')).toEqual([]);
    expect(await ids('error=inference_failed')).toEqual([expired, failed]);
    expect(await ids('error=inference_failed&status=failed')).toEqual([failed]);
    expect(await ids('error=inference_failed&status=succeeded')).toEqual([]);
    expect(await ids(`id_prefix=${failed}`)).toEqual([failed]);
    expect(await ids(`id_prefix=${rows[1]?.id.slice(0, 13).toUpperCase()}`)).toEqual([failed]);
    expect(await ids(`id_prefix=${failed?.slice(0, 11)}&metadata.order=A-17`)).toHaveLength(2);
  });

  test('can be sorted oldest first, in pages that keep their filters', async () => {
    expect(await ids('order=asc&model=echo')).toEqual([succeeded, failed, timedOut, expired]);
    const first = await get('order=asc&limit=1&error=inference_failed');
    expect(itemsOf(first.body).map(({ id }) => id)).toEqual([failed]);
    const next = String(first.body.next);
    expect(await ids(`order=asc&limit=1&error=inference_failed&cursor=${next}`)).toEqual([expired]);
    for (const other of ['', 'order=asc', 'error=inference_failed', 'metadata.order=A-17&order=asc'])
      expect((await get(`${other}&cursor=${next}`)).body).toMatchObject({ code: 'invalid_cursor' });
    expect(first.headers.get('link')).toContain('error=inference_failed');
  });

  test('has the inputs on request, except of a success', async () => {
    const { body } = await get('include=input&model=echo');
    const members = itemsOf(body).map(({ input, inputs }) => ({ input, inputs }));
    const joined = { dtype: 'float32', shape: [2, 2], base64: 'AACAPwAAAEAAAIA/AAAAQA==' };
    expect(members).toEqual([
      { input: { x: joined }, inputs: null },
      { input: null, inputs: [{ a: 1 }, { a: 2 }] },
      { input: { a: 1 }, inputs: null },
      { input: null, inputs: null },
    ]);
    expect(await ids('include=input,output')).toHaveLength(4);
  });

  test.each([
    ['status=failed,done', 'status'],
    ['created_after=yesterday', 'created_after'],
    ['id_prefix=xyz', 'id_prefix'],
    ['error=Timeout!', 'error'],
    ['order=newest', 'order'],
    ['meta.order=A-17', 'meta.order'],
    ['metadata.=A-17', 'metadata.'],
  ])('refuses %s', async (query, name) => {
    const { status, text } = await get(query);
    expect([status, text.includes(`"${name}"`)]).toEqual([400, true]);
  });
});

test('a prediction has its input on request, under an ETag of its own', async () => {
  const plain = await millrace.request(`/v1/predictions/${failed}`);
  const whole = await millrace.request(`/v1/predictions/${failed}?include=input`);
  expect(whole.body).toEqual({ ...plain.body, input: { a: 1 }, inputs: null });
  expect(whole.headers.get('etag')).not.toBe(plain.headers.get('etag'));
});
