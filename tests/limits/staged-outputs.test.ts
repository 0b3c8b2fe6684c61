/** Tests that a long output of a promise does not pass the append-only file of the queue Redis, and that every reader gets the output. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { scatter } from '../support/onnx-models.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { rawId } from '../support/raw-id.ts';
import { startReceiver } from '../support/receiver.ts';

/** Numbers of the output: about 2.5 MB as JSON. */
const WIDTH = 262_144;
const ASYNC = { prefer: 'respond-async', 'cache-control': 'no-cache' };

let queue: OwnRedis;
let redis: Redis;
let db: pg.Client;
let dir: string;
let millrace: Millrace;

beforeAll(async () => {
  queue = await startOwnRedis([]);
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-staged-'));
  await mkdir(path.join(dir, 'wide', '1'), { recursive: true });
  await writeFile(path.join(dir, 'wide', '1', 'model.onnx'), scatter(WIDTH));
  await writeFile(path.join(dir, 'wide', 'model.json'), JSON.stringify({ max_batch: 1, row_independent: true }));
  const webhooks = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' };
  const env = { REDIS_URL: queue.url, REDIS_CLUSTER: 'false', ...webhooks };
  millrace = await startMillrace({ modelsDir: dir, models: ['wide'], env });
  redis = new Redis(queue.url);
  db = new pg.Client({ connectionString: millrace.env.DATABASE_URL });
  await db.connect();
});
afterAll(async () => {
  await db?.end();
  redis?.disconnect();
  await millrace?.close();
  await queue?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** The responses are compared as text: a parsed response would have many objects. */
async function send(where: string, init: RequestInit = {}): Promise<{ code: number; text: string; output: string }> {
  const response = await fetch(millrace.url + where, init);
  const text = await response.text();
  const [from, to] = [text.indexOf('"output":{'), text.indexOf(',"outputs":null')];
  return { code: response.status, text, output: from === -1 || to === -1 ? '' : text.slice(from + 9, to) };
}

const post = (x: number, headers: Record<string, string>, more: object = {}) =>
  send('/v1/models/wide/predictions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ input: { x: [[x]] }, ...more }),
  });

/** The output for a waiting client, which is in the live state. */
async function expectedOf(x: number): Promise<string> {
  const { output } = await post(x, { prefer: 'wait=60', 'cache-control': 'no-cache' });
  expect(output.length).toBeGreaterThan(2_000_000);
  return output;
}

async function promise(x: number): Promise<string> {
  const { code, text } = await post(x, ASYNC);
  expect(code).toBe(202);
  return idIn(text);
}

const idIn = (text: string): string => text.slice(7, 44);
const letterOf = (id: string) => redis.getrange(millrace.keys.live(rawId(id)), 10, 10);
const ended = async (id: string) => expect.poll(() => letterOf(id)).toMatch(/^[sl]?$/);
const rowOf = async (id: string) =>
  (
    await db.query('SELECT status, staged_opening, octet_length(result) AS bytes FROM predictions WHERE id = $1', [
      rawId(id),
    ])
  ).rows[0];
const untilRecorded = (id: string) => expect.poll(async () => (await rowOf(id))?.status).toBe('succeeded');

/**
 * Calls `create` until the output of a promise is not in the live state. On a machine that stands still for seconds, a worker writes
 * an output to Redis, and the outputs of the next five seconds too.
 */
async function staged(create: () => Promise<string>): Promise<string> {
  for (const deadline = performance.now() + 90_000; performance.now() < deadline; ) {
    const id = await create();
    await ended(id);
    if ((await letterOf(id)) !== 's') return id;
  }
  throw new Error('no output was written to the ledger within 90 s');
}

async function queueBytes() {
  const info = await redis.info();
  const numberOf = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { received: numberOf('total_net_input_bytes'), file: numberOf('aof_current_size') };
}

async function firstEvents(id: string): Promise<string> {
  const response = await fetch(`${millrace.url}/v1/predictions/${id}/events`);
  return response.text();
}

test('the append-only file does not get the output of a promise, and every reader gets the output', async () => {
  const expected = await expectedOf(1.25);
  let before = await queueBytes();
  const id = await staged(async () => {
    before = await queueBytes();
    return promise(1.25);
  });
  await untilRecorded(id);
  const after = await queueBytes();
  // Probes, heartbeats and statistics are 40 KB a second.
  expect(after.received - before.received).toBeLessThan(0.5 * expected.length);
  expect(after.file - before.file).toBeLessThan(0.5 * expected.length);
  expect(await rowOf(id)).toEqual({ status: 'succeeded', staged_opening: null, bytes: expected.length });
  const poll = await send(`/v1/predictions/${id}`);
  expect([poll.code, poll.output === expected]).toEqual([200, true]);
  expect((await firstEvents(id)).includes(expected)).toBe(true);
  const list = await send('/v1/predictions?limit=1&include=output');
  expect([list.text.includes(id), list.output === expected]).toEqual([true, true]);
  // The worker writes the name of the output to the cache beside the end.
  const look = { prefer: 'wait=60', 'cache-control': 'only-if-cached' };
  await expect.poll(async () => (await post(1.25, look)).code).toBe(200);
  const hit = await post(1.25, look);
  expect([hit.code, hit.output === expected]).toEqual([200, true]);
});

test('callers who wait for the promise get the output, and so does the webhook', async () => {
  const expected = await expectedOf(2.25);
  const receiver = await startReceiver();
  await millrace.stopWorkers('stop');
  const { code, text } = await post(2.25, ASYNC, { webhook: { url: `${receiver.url}/200` } });
  expect(code).toBe(202);
  const id = idIn(text);
  const waits = [send(`/v1/predictions/${id}?wait=60`), firstEvents(id).then((events) => ({ output: events }))];
  await millrace.startWorker();
  const [poll, events] = await Promise.all(waits);
  expect([poll?.output === expected, events?.output.includes(expected)]).toEqual([true, true]);
  const [delivery] = await receiver.until('/200', 1);
  expect(JSON.parse(delivery?.body ?? '{}').data).toMatchObject({ id, status: 'succeeded' });
  await receiver.close();
});

describe('before the record of the end', () => {
  test('readers get the output, and the record keeps the output', async () => {
    const expected = await expectedOf(3.25);
    await millrace.stopWorkers('stop');
    await millrace.startWorker({ WORKER_ROLES: 'inference' });
    const id = await staged(() => promise(3.25));
    expect(await letterOf(id)).toBe('l');
    expect(await rowOf(id)).toEqual({ status: 'queued', staged_opening: 0, bytes: 0 });
    const poll = await send(`/v1/predictions/${id}`);
    const list = await send('/v1/predictions?limit=1&include=output');
    const open = await send('/v1/predictions?limit=1');
    expect([poll.output === expected, list.output === expected]).toEqual([true, true]);
    expect([open.text.includes('"status":"succeeded"'), open.text.length < 4_000]).toEqual([true, true]);
    expect((await firstEvents(id)).includes(expected)).toBe(true);
    expect((await send(`/v1/predictions/${id}/cancel`, { method: 'POST' })).code).toBe(409);
    expect((await send(`/v1/predictions/${id}/retry`, { method: 'POST' })).code).toBe(409);
    await millrace.startWorker({ WORKER_ROLES: 'recorder' });
    await untilRecorded(id);
    expect(await rowOf(id)).toMatchObject({ staged_opening: null, bytes: expected.length });
    await millrace.forget(id);
    expect((await send(`/v1/predictions/${id}`)).output === expected).toBe(true);
  });

  test('a worker that is killed between the two writes loses nothing', async () => {
    const expected = await expectedOf(4.25);
    // The statement waits for the lock of the test, and ends after the death of its worker.
    await db.query(`
      CREATE FUNCTION wait_after_stage() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_advisory_xact_lock(77);
        RETURN NEW;
      END $$;
      CREATE TRIGGER wait_after_stage BEFORE UPDATE OF staged_output ON predictions FOR EACH ROW
        WHEN (NEW.staged_output IS NOT NULL) EXECUTE FUNCTION wait_after_stage();
      SELECT pg_advisory_lock(77);`);
    const waiting = async () =>
      (await db.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted")).rowCount;
    let id = '';
    for (let tries = 0; id === '' && tries < 5; tries += 1) {
      const { text } = await post(4.25, ASYNC);
      await expect.poll(waiting).toBe(tries + 1);
      await millrace.stopWorkers('kill');
      // On a machine that stands still for seconds, the worker writes the output to Redis before its death.
      if ((await letterOf(idIn(text))) === 'r') id = idIn(text);
      else await millrace.startWorker();
    }
    await db.query('SELECT pg_advisory_unlock(77)');
    await expect.poll(async () => (await rowOf(id))?.staged_opening).toBe(0);
    expect(await letterOf(id)).toBe('r');
    await millrace.startWorker();
    await untilRecorded(id);
    const poll = await send(`/v1/predictions/${id}`);
    expect([poll.output === expected, poll.text.includes('"attempt":2')]).toEqual([true, true]);
    expect(await rowOf(id)).toMatchObject({ staged_opening: null, bytes: expected.length });
    await db.query('DROP TRIGGER wait_after_stage ON predictions; DROP FUNCTION wait_after_stage()');
  });
});
