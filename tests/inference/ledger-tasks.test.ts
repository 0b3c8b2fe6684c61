/** Tests the large inputs of promises, of which only the ledger has the text. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@millrace/shared/redis/connection';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { watchLooks } from '../support/after-look.ts';
import { makeHandlerModels } from '../support/handler-models.ts';
import { type ApiResponse, useMillrace } from '../support/millrace.ts';
import { identity } from '../support/onnx-models.ts';
import { rawId } from '../support/raw-id.ts';
import { taskInLedger } from '../support/task-in-ledger.ts';
import { connectTestRedis } from '../support/test-redis.ts';

/** The output is the length of the text. */
const TEXT = `
import { defineHandler, InputError, Type } from '@millrace/handler';
export default defineHandler({
  input: Type.Object({ text: Type.String() }, { additionalProperties: false }),
  output: Type.Object({ length: Type.Number() }),
  canonicalize({ text }) {
    if (text === '') throw new InputError({ pointer: '/text', message: 'The text is empty.' });
    return text;
  },
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows, (text) => text.length) } }),
  decode: ({ y }, rows) => rows.map((_, at) => ({ length: y.data[at] })),
});
`;
/** y = x. */
const TENSOR = 'tensor';
const COUNT = 32_768;
const BYTES = 4 * COUNT;

const FULL =
  'The large inputs of open predictions take 1 MB in Postgres, and 1 MB are allowed. Send the request again later, or wait for its result with Prefer: wait.';

let folder: Awaited<ReturnType<typeof makeHandlerModels>>;
let db: pg.Client;
let redis: Connection;
/** Subscribes like a worker of another version. */
let other: Connection;

const millrace = useMillrace(async () => {
  folder = await makeHandlerModels({ text: TEXT }, { row_independent: true });
  await mkdir(path.join(folder.dir, TENSOR, '1'), { recursive: true });
  await writeFile(path.join(folder.dir, TENSOR, '1', 'model.onnx'), identity('float32', ['n', COUNT]));
  await writeFile(path.join(folder.dir, TENSOR, 'model.json'), JSON.stringify({ row_independent: true }));
  return { modelsDir: folder.dir, models: ['text', TENSOR], env: { PROMISED_INPUTS: '1' } };
});
beforeAll(async () => {
  redis = connectTestRedis();
  other = connectTestRedis();
  db = new pg.Client({ connectionString: millrace.config.databaseUrl });
  await db.connect();
});
const afterLook = watchLooks();
beforeEach(() => afterLook());
afterEach(async () => {
  resume();
  await other.unsubscribe();
});
afterAll(async () => {
  for (const connection of [redis, other]) connection.disconnect();
  await db.end();
  await folder.remove();
});

const stop = () => millrace.workers[0]?.signal('SIGSTOP');
const resume = () => millrace.workers[0]?.signal('SIGCONT');

const text = (length: number, letter = 'a') => ({ text: letter.repeat(length) });
let round = 0;

/** A tensor that no other test sends. */
function tensor() {
  round += 1;
  const elements = Float32Array.from({ length: COUNT }, (_, at) => at + round / 8);
  return { x: { shape: [1, COUNT], base64: Buffer.from(elements.buffer).toString('base64') } };
}

/** Promises a prediction, and returns its id. */
async function promised(model: string, body: object): Promise<string> {
  const { status, body: accepted } = await millrace.predict(model, body);
  expect(status).toBe(202);
  return accepted.id;
}

const stateBytes = (id: string): Promise<number> => redis.strlen(millrace.keys.live(rawId(id)));

/** The prediction after its end. */
async function ended(id: string) {
  let found: ApiResponse['body'];
  await expect
    .poll(
      async () => {
        found = (await millrace.request(`/v1/predictions/${id}?wait=5`)).body;
        return found.completed_at;
      },
      { timeout: 60_000 },
    )
    .not.toBeNull();
  return found;
}

test('the live state of a large tensor names the ledger, and the output is right', async () => {
  stop();
  const input = tensor();
  const id = await promised(TENSOR, { input });
  expect(await stateBytes(id)).toBeLessThan(1_000);
  expect((await taskInLedger(millrace, id)).length).toBeGreaterThan(BYTES);
  const shown = await millrace.request(`/v1/predictions/${id}?include=input`);
  expect(shown.body.input.x).toMatchObject({ shape: [1, COUNT], base64: input.x.base64 });
  resume();
  const { status, output } = await ended(id);
  expect(status).toBe('succeeded');
  expect(output.y.data.every((value: number, at: number) => value === at + round / 8)).toBe(true);
  await expect.poll(() => taskInLedger(millrace, id)).toBe('');
});

test('large texts with an invalid row among them have their outputs and errors, and a small task is in the live state', async () => {
  stop();
  const id = await promised('text', { inputs: [text(70_000), text(0), text(3)], on_error: 'row' });
  const small = await promised('text', { input: text(2_000) });
  expect(await stateBytes(id)).toBeLessThan(1_000);
  expect(await stateBytes(small)).toBeGreaterThan(2_000);
  resume();
  const { outputs, row_errors: errors } = await ended(id);
  expect(outputs).toEqual([{ length: 70_000 }, null, { length: 3 }]);
  expect(errors).toEqual([{ row: 1, error: expect.objectContaining({ code: 'invalid_input' }) }]);
  expect((await ended(small)).output).toEqual({ length: 2_000 });
});

test('the worker that follows a killed worker reads the input', async () => {
  stop();
  const id = await promised('text', { input: text(80_000) });
  await millrace.stopWorkers('kill');
  await millrace.startWorker();
  expect((await ended(id)).output).toEqual({ length: 80_000 });
});

describe('a canceled prediction', () => {
  test.each([
    ['in Redis', async () => {}],
    ['in the ledger', (id: string) => millrace.forget(id)],
  ])('runs again from its end %s', async (_, change) => {
    round += 1;
    const length = 90_000 + round;
    stop();
    const id = await promised('text', { input: text(length) });
    await millrace.request(`/v1/predictions/${id}/cancel`, { method: 'POST' });
    resume();
    const statusInLedger = async () =>
      (await db.query('SELECT status FROM predictions WHERE id = $1', [rawId(id)])).rows[0]?.status;
    await expect.poll(statusInLedger, { timeout: 20_000 }).toBe('canceled');
    expect((await taskInLedger(millrace, id)).length).toBeGreaterThan(length);
    await change(id);
    stop();
    expect((await millrace.request(`/v1/predictions/${id}/retry`, { method: 'POST' })).status).toBe(202);
    expect(await stateBytes(id)).toBeLessThan(1_000);
    resume();
    expect((await ended(id)).output).toEqual({ length });
  });
});

test('a promise that Redis has lost is restored without its input', async () => {
  stop();
  const id = await promised('text', { input: text(100_000) });
  await millrace.forget(id);
  resume();
  expect((await ended(id)).output).toEqual({ length: 100_000 });
});

test('large inputs beyond PROMISED_INPUTS are refused until predictions have ended, and other requests are not', async () => {
  stop();
  // The API reads the sum of Postgres at most once a second: no promise of an earlier test counts.
  await delay(1_100);
  const send = (body: object, headers = {}) => millrace.predict('text', body, headers);
  const ids: string[] = [];
  let refused = await send({ input: text(100_001) });
  for (let n = 2; refused.status === 202 && n < 20; n += 1) {
    ids.push(refused.body.id);
    refused = await send({ input: text(100_000 + n) });
  }
  expect([refused.status, refused.body.code, refused.body.detail]).toEqual([429, 'queue_full', FULL]);
  expect(refused.headers.get('retry-after')).toBe('5');
  // A promise that is committed during the read of the sum counts twice until the next read.
  expect([9, 10]).toContain(ids.length);
  ids.push((await send({ input: text(50_000) })).body.id);
  ids.push((await send({ input: text(100_100) }, { prefer: 'wait=1' })).body.id);
  resume();
  for (const id of ids) expect((await ended(id)).status).toBe('succeeded');
  await expect.poll(async () => (await send({ input: text(100_200) })).status, { timeout: 20_000 }).toBe(202);
});

test('while Postgres does not respond the promise waits in the ledger, and other predictions run', async () => {
  stop();
  const id = await promised('text', { input: text(110_000) });
  await db.query('BEGIN');
  await db.query('LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE');
  resume();
  await expect.poll(() => stateBytes(id), { timeout: 20_000 }).toBe(0);
  const other = await millrace.predict('text', { input: text(7, 'b') }, { prefer: 'wait=30' });
  expect(other.body.output).toEqual({ length: 7 });
  await db.query('ROLLBACK');
  expect((await ended(id)).output).toEqual({ length: 110_000 });
});

test('a promise whose row Postgres has lost fails with the reason, and the ledger gets the end', async () => {
  stop();
  const id = await promised('text', { input: text(120_000) });
  await db.query('DELETE FROM predictions WHERE id = $1', [rawId(id)]);
  resume();
  const { status, error } = await ended(id);
  expect([status, error.code, error.detail]).toEqual([
    'failed',
    'internal',
    'The input of the prediction cannot be read from the ledger. Send the request again.',
  ]);
  await expect
    .poll(async () => (await db.query('SELECT status FROM predictions WHERE id = $1', [rawId(id)])).rows, {
      timeout: 20_000,
    })
    .toEqual([{ status: 'failed' }]);
});

test('beside a process that reads no names of the ledger, the input is in the live state', async () => {
  await other.subscribe(millrace.keys.registryChannel());
  await afterLook();
  stop();
  const id = await promised('text', { input: text(130_000) });
  expect(await stateBytes(id)).toBeGreaterThan(130_000);
  await millrace.forget(id);
  resume();
  await expect.poll(() => stateBytes(id), { timeout: 20_000 }).toBeGreaterThan(0);
  expect((await ended(id)).output).toEqual({ length: 130_000 });
});
