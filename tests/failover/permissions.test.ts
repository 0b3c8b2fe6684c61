/**
 * Tests that the command list of the probes equals the commands that Millrace runs: Millrace works as a user that may
 * run only these commands.
 */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { neededCommands } from '@millrace/shared/redis/permissions';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { rawId } from '../support/raw-id.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { holdWorker } from '../support/slow-work.ts';

const QUEUE = [...neededCommands('REDIS_URL'), 'subscribe', 'pubsub'];
const CACHE = neededCommands('CACHE_REDIS_URL');
/** Commands of the category `connection`. */
const CONNECTION = ['auth', 'client', 'hello', 'ping', 'quit', 'select'];

let own: OwnRedis;
let cacheOwn: OwnRedis;
let admins: { queue: Redis; cache: Redis };
let millrace: Millrace;
let receiver: Receiver;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;

beforeAll(async () => {
  [own, cacheOwn, receiver, folder] = await Promise.all([
    startOwnRedis([]),
    startOwnRedis([]),
    startReceiver(),
    makeModelFolder(['slow', 'rows', 'echo']),
  ]);
  admins = { queue: new Redis(own.url), cache: new Redis(cacheOwn.url) };
  await Promise.all([limit(admins.queue, QUEUE), limit(admins.cache, CACHE)]);
  millrace = await startMillrace({
    modelsDir: folder.dir,
    models: ['slow', 'rows', 'echo'],
    env: {
      REDIS_URL: asUser(own.url),
      CACHE_REDIS_URL: asUser(cacheOwn.url),
      REDIS_CLUSTER: 'false',
      WORKER_CONCURRENCY: '1',
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    },
  });
});
afterAll(async () => {
  await millrace?.close();
  admins?.queue.disconnect();
  admins?.cache.disconnect();
  await Promise.all([own?.stop(), cacheOwn?.stop(), receiver?.close(), folder?.remove()]);
});

/** Creates the user `millrace`, which may run these commands and the commands of a connection. */
async function limit(admin: Redis, commands: readonly string[]): Promise<void> {
  const rights = ['~test-*', '&test-*', '+@connection', ...commands.map((command) => `+${command}`)];
  await admin.call('ACL', 'SETUSER', 'millrace', 'reset', 'on', '>pw', ...rights);
  await admin.config('RESETSTAT');
}

function asUser(url: string): string {
  const changed = new URL(url);
  changed.username = 'millrace';
  return changed.href;
}

/** Commands that the server has run since `limit`, in lower case, without the commands of this test. */
async function commandsRun(admin: Redis): Promise<string[]> {
  const stats = await admin.info('commandstats');
  const names = [...stats.matchAll(/^cmdstat_([^:|]+)/gm)].map(([, name]) => name as string);
  return [...new Set(names)].filter((name) => !['acl', 'config', ...CONNECTION].includes(name));
}

let used = 0;
function nextInput() {
  used += 1;
  return { input: { x: [used, 7] } };
}
const ended = async (id: string) => (await millrace.request(`/v1/predictions/${id}?wait=60`)).body.status;
const act = (id: string, action: 'cancel' | 'retry') =>
  millrace.request(`/v1/predictions/${id}/${action}`, { method: 'POST' });

async function useEverything(): Promise<void> {
  const wait = { prefer: 'wait=60' };
  expect((await millrace.predict('echo', nextInput(), wait)).status).toBe(200);
  expect((await millrace.predict('echo', nextInput(), { ...wait, 'idempotency-key': 'once' })).status).toBe(200);
  const inputs = [0, 1, 2].map((at) => ({ x: [[at, 1]] }));
  expect((await millrace.predict('rows', { inputs }, wait)).status).toBe(200);
  expect((await millrace.predict('rows', { inputs }, wait)).status).toBe(200);
  // Followers, priorities, a canceled prediction, a retried prediction, a deadline and events, while one prediction
  // holds the worker.
  const held = await holdWorker(millrace);
  // This prediction comes first, because a busy queue refuses such a short deadline.
  const late = await millrace.predict('slow', { input: { x: [8] }, expires_in: 0.3 });
  expect(late.status).toBe(202);
  const request = { input: { x: [5] } };
  const low = await millrace.predict('slow', { ...request, priority: 'low' });
  const high = await millrace.predict('slow', { ...request, priority: 'high', metadata: {} });
  const canceled = await millrace.predict('slow', { input: { x: [6] } });
  expect((await act(canceled.body.id, 'cancel')).status).toBe(200);
  expect((await act(canceled.body.id, 'retry')).status).toBe(202);
  const events = millrace.request(`/v1/predictions/${low.body.id}/events`);
  await held.release();
  for (const { body } of [low, high, canceled]) expect(await ended(body.id)).toBe('succeeded');
  expect(await ended(late.body.id)).toBe('expired');
  expect((await events).status).toBe(200);
  // A webhook whose first attempt fails.
  receiver.script('/hook', 500);
  await millrace.predict('echo', { ...nextInput(), webhook: { url: `${receiver.url}/hook` } });
  await receiver.until('/hook', 2);
  expect((await millrace.request('/v1/models/echo/cache', { method: 'DELETE' })).status).toBeLessThan(300);
  expect((await millrace.request('/v1/predictions?limit=5')).status).toBe(200);
}

/** Kills the worker, then deletes all data of Redis. */
async function loseEverything(): Promise<void> {
  const running = await holdWorker(millrace);
  await millrace.stopWorkers('kill');
  await millrace.startWorker();
  expect(await ended(running.id)).toBe('succeeded');
  await millrace.stopWorkers('stop');
  const promised = await Promise.all([1, 2, 3].map(() => millrace.predict('echo', nextInput())));
  await admins.queue.del(...promised.map(({ body }) => millrace.keys.live(rawId(body.id))));
  await millrace.startWorker();
  for (const { body } of promised) expect(await ended(body.id)).toBe('succeeded');
}

test('Millrace works as users that may run only the commands of the list', { timeout: 300_000 }, async () => {
  await useEverything();
  await loseEverything();
  for (const admin of [admins.queue, admins.cache]) expect(await admin.call('ACL', 'LOG')).toEqual([]);
  const [queue, cache] = await Promise.all([commandsRun(admins.queue), commandsRun(admins.cache)]);
  expect(queue.filter((command) => !QUEUE.includes(command))).toEqual([]);
  expect(cache.filter((command) => !CACHE.includes(command))).toEqual([]);
});

test("the list has every command of Millrace's scripts", async () => {
  const folder = path.resolve(import.meta.dirname, '../../packages/shared/src/live');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.lua'));
  const texts = await Promise.all(files.map((name) => readFile(path.join(folder, name), 'utf8')));
  const commands = texts.flatMap((text) => [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)]).map(([, name]) => name);
  expect(commands.length).toBeGreaterThan(50);
  const missing = commands.filter((name) => !QUEUE.includes((name as string).toLowerCase()));
  expect([...new Set(missing)]).toEqual([]);
});
