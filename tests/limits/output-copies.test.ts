/** Counts the bytes that each store gets of an output of 4 MiB, and tests from which store a later request gets the output. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { scatter } from '../support/onnx-models.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { rawId } from '../support/raw-id.ts';

/** Numbers of the output: 4 MiB as float32, and about 12 MB as JSON. */
const WIDTH = 1_048_576;
const MIB = 1_048_576;
const WAITING = { prefer: 'wait=60' };
const WAITING_FOR_HIT = { ...WAITING, 'cache-control': 'only-if-cached' };

let queue: OwnRedis;
let cache: OwnRedis;
let queueRedis: Redis;
let cacheRedis: Redis;
let db: pg.Client;
let dir: string;
let millrace: Millrace;

beforeAll(async () => {
  [queue, cache] = await Promise.all([startOwnRedis([]), startOwnRedis(['appendonly no'])]);
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-wide-'));
  await mkdir(path.join(dir, 'wide', '1'), { recursive: true });
  await writeFile(path.join(dir, 'wide', '1', 'model.onnx'), scatter(WIDTH));
  await writeFile(path.join(dir, 'wide', 'model.json'), JSON.stringify({ max_batch: 1, row_independent: true }));
  const env = { REDIS_URL: queue.url, CACHE_REDIS_URL: cache.url, REDIS_CLUSTER: 'false' };
  millrace = await startMillrace({ modelsDir: dir, models: ['wide'], env });
  queueRedis = new Redis(queue.url);
  cacheRedis = new Redis(cache.url);
  db = new pg.Client({ connectionString: millrace.env.DATABASE_URL });
  await db.connect();
});
afterAll(async () => {
  await db?.end();
  queueRedis?.disconnect();
  cacheRedis?.disconnect();
  await millrace?.close();
  await Promise.all([queue?.stop(), cache?.stop()]);
  await rm(dir, { recursive: true, force: true });
});

/** The responses are compared as text: a parsed response would have a million objects. */
async function predict(x: number, headers: Record<string, string>, more: object = {}) {
  const response = await fetch(`${millrace.url}/v1/models/wide/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ input: { x: [[x]] }, ...more }),
  });
  const text = await response.text();
  const status = response.headers.get('cache-status') ?? '';
  return { code: response.status, status, text, id: text.slice(7, 44), output: outputIn(text) };
}

/** The JSON text of the output; '' for a response without an output. */
function outputIn(text: string): string {
  const [from, to] = [text.indexOf('"output":{'), text.indexOf(',"outputs":null')];
  return from === -1 || to === -1 ? '' : text.slice(from + 9, to);
}

const resultNames = () => cacheRedis.keys(`${millrace.keys.result('')}*`);

/** Predicts, and waits until the ledger has the end and the cache has a value. Returns the name of the value. */
async function stored(x: number, headers: Record<string, string>, more: object = {}) {
  const before = new Set(await resultNames());
  const got = await predict(x, headers, more);
  await untilRecorded(got.id);
  const added = async () => (await resultNames()).filter((name) => !before.has(name));
  await expect.poll(async () => (await added()).length).toBe(1);
  const [name = ''] = await added();
  return { ...got, name };
}

const untilRecorded = (id: string): Promise<number> =>
  vi.waitFor(
    async () => {
      const { rows } = await db.query(
        "SELECT octet_length(result) AS bytes FROM predictions WHERE id = $1 AND status = 'succeeded'",
        [rawId(id)],
      );
      if (rows.length !== 1) throw new Error('the end is not recorded');
      return rows[0].bytes;
    },
    { timeout: 60_000, interval: 50 },
  );

async function bytesOf(redis: Redis) {
  const info = await redis.info();
  const numberOf = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { received: numberOf('total_net_input_bytes'), file: numberOf('aof_current_size') };
}

/** Names of the values that take at least a MiB of memory. */
async function longNames(redis: Redis): Promise<string[]> {
  const names = await redis.keys('*');
  const sizes = await Promise.all(names.map((name) => redis.memory('USAGE', name)));
  return names.filter((_, at) => (sizes[at] ?? 0) >= MIB);
}

describe('an output of 4 MiB', () => {
  test.each([
    ['a waiting client', WAITING, 1.25],
    ['a promise', { prefer: 'respond-async' }, 2.25],
  ])(
    'of %s is written at most once to the queue Redis and once to Postgres, and not to the cache Redis',
    async (_, headers, x) => {
      const [queueBefore, cacheBefore] = await Promise.all([bytesOf(queueRedis), bytesOf(cacheRedis)]);
      const longBefore = new Set(await longNames(queueRedis));
      const { id, name } = await stored(x, headers);
      const recorded = await untilRecorded(id);
      expect(recorded).toBeGreaterThan(9 * WIDTH);
      const [queueAfter, cacheAfter] = await Promise.all([bytesOf(queueRedis), bytesOf(cacheRedis)]);
      const added = (await longNames(queueRedis)).filter((one) => !longBefore.has(one));
      // staged-outputs.test.ts tests that the queue Redis does not get the output of a promise.
      const live = millrace.keys.live(rawId(id));
      if (headers === WAITING || added.length > 0) expect(added).toEqual([live]);
      expect(await longNames(cacheRedis)).toEqual([]);
      expect(await cacheRedis.strlen(name)).toBeLessThan(1_000);
      // Probes, heartbeats and statistics are 40 KB a second. A second copy of the output would exceed these limits.
      expect(queueAfter.received - queueBefore.received).toBeLessThan(1.5 * recorded);
      expect(queueAfter.file - queueBefore.file).toBeLessThan(1.5 * recorded);
      expect(cacheAfter.received - cacheBefore.received).toBeLessThan(0.5 * recorded);
    },
  );

  test('is in the first hit as in the first response, and the cache then has the whole result', async () => {
    const first = await stored(3.25, WAITING);
    const hit = await predict(3.25, WAITING_FOR_HIT);
    expect([hit.code, hit.status]).toEqual([200, expect.stringMatching(/^millrace; hit; ttl=\d+; key=/)]);
    // Not toBe: a failure would print 24 MB.
    expect(hit.text === first.text).toBe(true);
    await expect.poll(() => cacheRedis.strlen(first.name)).toBeGreaterThan(first.output.length);
    await millrace.forget(first.id);
    await db.query("UPDATE predictions SET result = 'null' WHERE id = $1", [rawId(first.id)]);
    const second = await predict(3.25, WAITING_FOR_HIT);
    expect([second.code, second.text === first.text]).toEqual([200, true]);
  });

  test('is read from the ledger after the end of the live state', async () => {
    const { id } = await stored(4.25, { prefer: 'respond-async' });
    await millrace.forget(id);
    const hit = await predict(4.25, WAITING_FOR_HIT);
    expect([hit.code, hit.id]).toEqual([200, id]);
    const { text } = await fetched(id);
    expect(hit.output === outputIn(text) && hit.output.length > 9 * WIDTH).toBe(true);
  });

  test('that the ledger lost is a miss, and is computed again', async () => {
    const { id, output } = await stored(5.25, WAITING);
    await millrace.forget(id);
    await db.query("UPDATE predictions SET result = 'null' WHERE id = $1", [rawId(id)]);
    expect((await predict(5.25, WAITING_FOR_HIT)).code).toBe(504);
    const again = await predict(5.25, WAITING);
    expect([again.code, again.status]).toEqual([200, expect.stringContaining('fwd=miss')]);
    expect(again.id).not.toBe(id);
    expect(again.output === output).toBe(true);
  });

  test('of a prediction with metadata is shared without the prediction', async () => {
    const own = await stored(6.25, WAITING, { metadata: { owner: 'a' } });
    const hit = await predict(6.25, WAITING_FOR_HIT);
    expect([hit.code, hit.status]).toEqual([200, expect.stringMatching(/^millrace; hit/)]);
    expect(hit.id).not.toBe(own.id);
    expect(hit.text).not.toContain('"owner"');
    expect(hit.output === own.output && hit.output.length > 9 * WIDTH).toBe(true);
  });
});

async function fetched(id: string): Promise<{ text: string }> {
  const response = await fetch(`${millrace.url}/v1/predictions/${id}`);
  return { text: await response.text() };
}
