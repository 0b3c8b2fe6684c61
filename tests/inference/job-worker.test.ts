/** Tests that a worker fetches the job of an empty queue behind its wait, and that no job is lost or late because of this fetch. */
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { withTimeout } from '@millrace/shared/process/timeout';
import { jobIdOf } from '@millrace/shared/queue/job';
import { type AddJobParams, createQueues, type Queues } from '@millrace/shared/queue/queues';
import { type Connection, isCluster } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Consumer, type Held, startConsumer } from '../../apps/worker/src/inference/consumer.ts';
import { HandedBack } from '../../apps/worker/src/inference/dispatcher.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const MODEL = 'fetched';
/** BullMQ looks at a queue without a marker after 5 s. A job that is found earlier was found by its marker. */
const EARLY_MS = 4_000;

let redis: Connection;
let queues: Queues;
let keys: ReturnType<typeof keysFor>;
let bull: string;
let made = 0;
const opened: Consumer[] = [];

beforeAll(() => {
  redis = connectTestRedis();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((consumer) => consumer.close()));
  await queues.close();
});
afterAll(() => redis.disconnect());

interface TakenJob {
  id: string;
  ahead: Held['ahead'];
  end: PromiseWithResolvers<void>;
}

interface ConsumeParams {
  workerId: string;
  isNew?: boolean;
  concurrency?: number;
  holdRows?: number;
}

/** A consumer of several jobs at once in a new queue or an earlier queue, and the jobs that the consumer took. */
function consume({ workerId, isNew = true, concurrency = 8, holdRows = 1_000 }: ConsumeParams) {
  if (isNew) {
    keys = keysFor(testPrefix());
    bull = `${keys.bull(shardOf(MODEL))}:${MODEL}`;
    queues = createQueues(redis, keys, () => {});
  }
  const taken: TakenJob[] = [];
  const consumer = startConsumer(MODEL, {
    connect: () => connectTestRedis(),
    keys,
    workerId,
    concurrency,
    lockMs: 30_000,
    waitingRows: () => 0,
    holdRows: () => holdRows,
    compute({ ids: [id = ''], ahead }) {
      const end = Promise.withResolvers<void>();
      taken.push({ id, ahead, end });
      return end.promise;
    },
    onLocksLost: () => {},
    log: pino({ level: 'silent' }),
  });
  opened.push(consumer);
  return { consumer, taken };
}

async function add(given: Pick<AddJobParams, 'ahead' | 'slots'> = {}): Promise<string> {
  made += 1;
  const id = newPredictionId(shardOf(MODEL), made);
  await queues.add({ model: MODEL, version: '1', ids: [id], priority: 5, ...given });
  return id;
}

const one = (taken: readonly TakenJob[], at: number, timeout = 60_000) =>
  vi.waitUntil(() => taken[at], { timeout, interval: 2 });

const isIdle = () => vi.waitUntil(async () => (await redis.exists(`${bull}:active`)) === 0, { timeout: 60_000 });

/** Resolves when the consumer waits for a marker. */
async function isBlocked(name: string): Promise<string> {
  const line = await vi.waitUntil(
    async () => {
      const all = (await redis.call('CLIENT', 'LIST')) as string;
      return all.split('\n').find((one) => one.includes(` name=${name} `) && one.includes(' cmd=bzpopmin '));
    },
    { timeout: 60_000 },
  );
  return /\bid=(\d+)/.exec(line)?.[1] ?? '';
}

const waitName = () => `${keys.bull(shardOf(MODEL))}:${Buffer.from(MODEL).toString('base64')}`;

test('a lone job leaves no marker, is under a lock of its worker, and a job that follows it is taken at once', async () => {
  const { taken } = consume({ workerId: 'single' });
  await isBlocked(waitName());
  const first = await add();
  expect((await one(taken, 0)).id).toBe(first);
  expect(await redis.get(`${bull}:${jobIdOf(first)}:lock`)).toMatch(/^single:/);
  await isBlocked(waitName());
  if (!isCluster(redis)) expect(await redis.exists(`${bull}:marker`)).toBe(0);

  const addedAt = performance.now();
  const second = await add();
  expect((await one(taken, 1)).id).toBe(second);
  expect(performance.now() - addedAt).toBeLessThan(EARLY_MS);
  for (const { end } of taken) end.resolve();
  await isIdle();
  expect(await redis.exists(`${bull}:${jobIdOf(first)}`, `${bull}:${jobIdOf(first)}:lock`)).toBe(0);
});

test('no job is requested from the empty queue after a lone job', async () => {
  const { taken } = consume({ workerId: 'single' });
  if (isCluster(redis)) return;
  const jobs = 20;
  let requests = 0;
  for (let at = 0; at < jobs; at += 1) {
    await isBlocked(waitName());
    await add();
    // A request to an empty queue deletes BullMQ's counter of priorities.
    const before = Number(await redis.get(`${bull}:pc`));
    (await one(taken, at)).end.resolve();
    await isIdle();
    await isBlocked(waitName());
    if (Number(await redis.get(`${bull}:pc`)) !== before) requests += 1;
  }
  // On a busy machine a wait can reach its limit of 5 s, and then BullMQ requests a job.
  expect(requests).toBeLessThan(jobs / 4);
});

test('the rows and the slots of a job can be begun when the job is started first, and not when it was started before', async () => {
  const { consumer, taken } = consume({ workerId: 'begins' });
  const rows = { ahead: ['1'], slots: ['4 /dev/shm/a'] };
  await add(rows);
  await add();
  const [first, second] = [await one(taken, 0), await one(taken, 1)];
  expect([first, second].map(({ ahead }) => [ahead?.rows, ahead?.slots])).toEqual([
    [['1'], ['4 /dev/shm/a']],
    [[], []],
  ]);
  first.end.reject(new HandedBack('the worker stops'));
  second.end.resolve();
  const again = await one(taken, 2);
  expect([again.id, again.ahead]).toEqual([first.id, undefined]);
  again.end.resolve();
  await isIdle();
  await consumer.close();
});

test('the rows of a job of which a worker keeps a part are not begun ahead', async () => {
  const { taken } = consume({ workerId: 'part', concurrency: 1, holdRows: 1 });
  const ids = [newPredictionId(shardOf(MODEL), 1), newPredictionId(shardOf(MODEL), 2)];
  await queues.add({ model: MODEL, version: '1', ids, priority: 5, ahead: ['1', '2'] });
  for (const at of [0, 1]) {
    const part = await one(taken, at);
    expect([part.id, part.ahead]).toEqual([ids[at], undefined]);
    part.end.resolve();
  }
  await isIdle();
});

test('jobs that wait together are all taken, in their order', async () => {
  const { taken } = consume({ workerId: 'many' });
  await isBlocked(waitName());
  const ids = await Promise.all(Array.from({ length: 6 }, () => add()));
  await one(taken, 5);
  expect(taken.map(({ id }) => id).sort()).toEqual(ids.toSorted());
  for (const { end } of taken) end.resolve();
  await isIdle();
});

test('two idle workers share the jobs, and each job runs once', async () => {
  const all = [consume({ workerId: 'left' }), consume({ workerId: 'right', isNew: false })];
  const ids: string[] = [];
  for (let at = 0; at < 30; at += 1) {
    ids.push(await add());
    const ran = () => all.flatMap(({ taken }) => taken);
    (
      await vi.waitUntil(() => ran().find(({ id }) => id === ids.at(-1)), { timeout: 60_000, interval: 2 })
    ).end.resolve();
  }
  await isIdle();
  expect(
    all
      .flatMap(({ taken }) => taken)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(ids.toSorted());
});

test('after its connection was broken, a worker takes the next job', async () => {
  const { taken } = consume({ workerId: 'broken' });
  const client = await isBlocked(waitName());
  await redis.call('CLIENT', 'KILL', 'ID', client);
  const id = await add();
  expect((await one(taken, 0)).id).toBe(id);
  taken[0]?.end.resolve();
  await isIdle();
});

test('a worker that stops while it waits leaves the next job to another worker', async () => {
  const { consumer, taken } = consume({ workerId: 'stopping' });
  await isBlocked(waitName());
  await consumer.close();
  const id = await add();
  const other = consume({ workerId: 'other', isNew: false });
  expect((await one(other.taken, 0)).id).toBe(id);
  expect(taken).toEqual([]);
  other.taken[0]?.end.resolve();
  await isIdle();
});

test('a worker that closes sets the marker of a waiting job: its last wait can have removed the marker', async () => {
  const { consumer, taken } = consume({ workerId: 'closing', concurrency: 1 });
  await isBlocked(waitName());
  await add();
  await one(taken, 0);
  const id = await add();
  const closed = consumer.close();
  // As the wait of a closing worker does.
  await redis.del(`${bull}:marker`);
  taken[0]?.end.resolve();
  await closed;
  expect(await redis.zrange(`${bull}:marker`, '0', '-1')).toEqual(['0']);
  const other = consume({ workerId: 'other', isNew: false });
  expect((await one(other.taken, 0)).id).toBe(id);
  other.taken[0]?.end.resolve();
  await isIdle();
});

test('a worker closes while its broken connection waits for the next attempt to connect', async () => {
  const { consumer } = consume({ workerId: 'reconnecting' });
  const client = await isBlocked(waitName());
  await redis.call('CLIENT', 'KILL', 'ID', client);
  // The first attempt to connect follows 50 ms after the kill.
  await vi.waitUntil(async () => !((await redis.call('CLIENT', 'LIST')) as string).includes(`id=${client} `));
  await withTimeout(10_000, consumer.close(), 'the close');
});
