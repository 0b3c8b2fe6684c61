/** Tests promises with large inputs whose tasks the worker cannot read from the ledger, while other requests use the same predictions. */
import { shardOf } from '@millrace/shared/predictions/ids';
import { jobIdOf } from '@millrace/shared/queue/job';
import type { Connection } from '@millrace/shared/redis/connection';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { watchLooks } from '../support/after-look.ts';
import { makeHandlerModels } from '../support/handler-models.ts';
import { type ApiResponse, useMillrace } from '../support/millrace.ts';
import { rawId } from '../support/raw-id.ts';
import { connectTestRedis } from '../support/test-redis.ts';

/** The output is the length of the text. */
const TEXT = `
import { defineHandler, Type } from '@millrace/handler';
export default defineHandler({
  input: Type.Object({ text: Type.String() }, { additionalProperties: false }),
  output: Type.Object({ length: Type.Number() }),
  canonicalize: ({ text }) => text,
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows, (text) => text.length) } }),
  decode: ({ y }, rows) => rows.map((_, at) => ({ length: y.data[at] })),
});
`;

let folder: Awaited<ReturnType<typeof makeHandlerModels>>;
let db: pg.Client;
let redis: Connection;

const millrace = useMillrace(async () => {
  folder = await makeHandlerModels({ text: TEXT }, { row_independent: true });
  return { modelsDir: folder.dir, models: ['text'] };
});
beforeAll(async () => {
  redis = connectTestRedis();
  db = new pg.Client({ connectionString: millrace.config.databaseUrl });
  await db.connect();
});
const afterLook = watchLooks();
beforeEach(() => afterLook());
afterEach(async () => {
  resume();
  await db.query('ROLLBACK');
});
afterAll(async () => {
  redis.disconnect();
  await db.end();
  await folder.remove();
});

const stop = () => millrace.workers[0]?.signal('SIGSTOP');
const resume = () => millrace.workers[0]?.signal('SIGCONT');
const text = (length: number) => ({ text: 'a'.repeat(length) });

async function promised(input: object): Promise<string> {
  const { status, body } = await millrace.predict('text', { input });
  expect(status).toBe(202);
  return body.id;
}

const stateKey = (id: string): string => millrace.keys.live(rawId(id));
/** The letter of the status in the live state; '' without a live state. */
const letter = (id: string): Promise<string> => redis.getrange(stateKey(id), 10, 10);

/** The number of predictions that have entered the queue as leaders. */
const entered = async (): Promise<number> =>
  Number((await redis.hget(millrace.keys.queueStats(shardOf('text'), 'text'), 's5')) ?? 0);

async function lockLedger(): Promise<void> {
  await db.query('BEGIN');
  await db.query('LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE');
}

/** The prediction after its end. */
async function ended(id: string): Promise<ApiResponse['body']> {
  let found: ApiResponse['body'];
  const completed = async () => {
    found = (await millrace.request(`/v1/predictions/${id}?wait=5`)).body;
    return found.completed_at;
  };
  await expect.poll(completed, { timeout: 60_000 }).not.toBeNull();
  return found;
}

test('a cancellation during the read of the task stays, although the worker gives the prediction up', async () => {
  stop();
  const id = await promised(text(70_000));
  await lockLedger();
  resume();
  await expect.poll(() => letter(id), { timeout: 20_000 }).toBe('r');
  const { status, body } = await millrace.request(`/v1/predictions/${id}/cancel`, { method: 'POST' });
  expect([status, body.status]).toEqual([200, 'canceled']);
  // The job ends when the worker has given up the prediction.
  const job = `${millrace.keys.bull(shardOf('text'))}:text:${jobIdOf(rawId(id))}`;
  await expect.poll(() => redis.exists(job), { timeout: 20_000 }).toBe(0);
  expect(await letter(id)).toBe('c');
  await db.query('ROLLBACK');
  expect((await ended(id)).status).toBe('canceled');
});

test('a waiting caller with the input of a promise gets its output while Postgres does not respond', async () => {
  stop();
  const id = await promised(text(80_000));
  await lockLedger();
  const before = await entered();
  const waiting = millrace.predict('text', { input: text(80_000) }, { prefer: 'wait=25' });
  await expect.poll(entered).toBe(before + 1);
  resume();
  const { status, body } = await waiting;
  expect([status, body.output]).toEqual([200, { length: 80_000 }]);
  await db.query('ROLLBACK');
  expect((await ended(id)).output).toEqual({ length: 80_000 });
});

test('a promise that follows a promise whose row Postgres has lost has its output', async () => {
  stop();
  const lost = await promised(text(90_000));
  await db.query('DELETE FROM predictions WHERE id = $1', [rawId(lost)]);
  const id = await promised(text(90_000));
  resume();
  expect((await ended(lost)).error.code).toBe('internal');
  expect((await ended(id)).output).toEqual({ length: 90_000 });
});

test('promises that follow a promise have their outputs after a time without Postgres', async () => {
  stop();
  const ids = [await promised(text(100_000)), await promised(text(100_000)), await promised(text(100_000))];
  await millrace.request(`/v1/predictions/${ids[0]}/cancel`, { method: 'POST' });
  await lockLedger();
  // The canceled leader runs for its followers, until the worker gives the run up.
  const runs = () => redis.getrange(stateKey(ids[0] as string), 13, 13);
  expect(await runs()).toBe('1');
  resume();
  await expect.poll(runs, { timeout: 20_000 }).toBe('0');
  await db.query('ROLLBACK');
  const all = await Promise.all(ids.map(ended));
  expect(all.map(({ status }) => status)).toEqual(['canceled', 'succeeded', 'succeeded']);
});
