/** Tests the commands of the scripts in the frequent case. The commands decide the cost of a script, and Redis does nothing else meanwhile. */
import { LiveStore } from '@millrace/shared/live/store';
import { keysFor } from '@millrace/shared/redis/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { NOW, newPrediction, SHARD, TARGET } from './live-fixture.ts';

const END = { status: 'succeeded', startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 1 } as const;
/** Bytes of the stream of events, as in lib.lua. */
const EVENT_BYTES = 1_048_576;
const keys = keysFor(testPrefix());
let own: OwnRedis;
let redis: Redis;
let live: LiveStore;

beforeAll(async () => {
  own = await startOwnRedis([]);
  redis = new Redis(own.url);
  live = new LiveStore(redis, keys);
});
afterAll(async () => {
  redis.disconnect();
  await own.stop();
});

/** The commands of scripts during `work`, in order, with the kind of their key. `limits` gets the lengths to which the scripts trim streams. */
async function commandsOf(work: () => Promise<unknown>, limits: (string | undefined)[] = []): Promise<string[]> {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const names: string[] = [];
  const monitor = await redis.monitor();
  monitor.on('monitor', (_time: string, [name = '', key = '', ...args]: string[], source: string) => {
    if (source === 'lua' && args[0] === 'MAXLEN') limits.push(args[2]);
    const kind = key.slice(keys.tag(SHARD).length).split(':')[0];
    // The position shows whether the script reads or writes only a part of a head.
    const position = /^[gs]etrange$/i.test(name) ? ` ${args[0]}` : '';
    if (source === 'lua') names.push(`${name.toLowerCase()} ${kind}${position}`);
    if (name === 'ping') resolve();
  });
  await work();
  await redis.ping();
  await seen;
  monitor.disconnect();
  return names;
}

test('a prediction without followers needs these commands from its submission to its end', async () => {
  const item = newPrediction({ flight: 'a-flight' });
  const submission = { priority: 'normal', job: `p-${item.id}`, nowMs: NOW } as const;
  expect(await commandsOf(() => live.submit(TARGET, submission, [item]))).toEqual([
    ...['hget n', 'set f', 'set p', 'hincrby n', 'publish bell', 'hmget n'],
  ]);
  const take = () => live.take(SHARD, [item.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  const [taken] = await take();
  if (!taken) throw new Error('The prediction was not taken.');
  // The lost attempts of a prediction that was restored from the ledger do not count.
  const second = newPrediction({ attempts: 3 });
  await live.submit(TARGET, { ...submission, job: `p-${second.id}` }, [second]);
  const takeSecond = () => live.take(SHARD, [second.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  expect(await commandsOf(takeSecond)).toEqual(['getrange p 0', 'setrange p 10', 'hincrby n']);
  expect(
    await commandsOf(() => live.finish(SHARD, [{ ...taken, ...END, result: '1' }], { worker: 'w1', nowMs: NOW })),
  ).toEqual(['getrange p 10', 'set p', 'mget f', 'pexpire f', 'xadd ev', 'xadd rec']);
});

test('a prediction without a flight needs no command for a flight, and its end bounds the stream of events', async () => {
  const item = newPrediction();
  await live.submit(TARGET, { priority: 'normal', job: `p-${item.id}`, nowMs: NOW }, [item]);
  const [taken] = await live.take(SHARD, [item.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  if (!taken) throw new Error('The prediction was not taken.');
  // Without the taken state the script composes the end.
  const { state: _, ...one } = taken;
  const limits: (string | undefined)[] = [];
  const items = [{ ...one, ...END, result: JSON.stringify('x'.repeat(3_000)) }];
  const finish = () => live.finish(SHARD, items, { worker: 'w1', nowMs: NOW });
  expect(await commandsOf(finish, limits)).toEqual(['getrange p 0', 'set p', 'xadd ev', 'xadd rec']);
  expect(limits).toEqual([String(Math.floor(EVENT_BYTES / (await redis.strlen(keys.live(item.id)))))]);
});

test('the end of a prediction that the worker knows and that has no flight reads no flight', async () => {
  const item = newPrediction();
  await live.submit(TARGET, { priority: 'normal', job: `p-${item.id}`, nowMs: NOW }, [item]);
  const [taken] = await live.take(SHARD, [item.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  if (!taken) throw new Error('The prediction was not taken.');
  const finish = () => live.finish(SHARD, [{ ...taken, ...END, result: '1' }], { worker: 'w1', nowMs: NOW });
  expect(await commandsOf(finish)).toEqual(['getrange p 10', 'set p', 'xadd ev', 'xadd rec']);
});

test('a leader with followers is taken without a copy of its state', async () => {
  const submission = { priority: 'normal', job: 'p-job', nowMs: NOW } as const;
  const [lead, follower] = [newPrediction({ flight: 'taken' }), newPrediction({ flight: 'taken' })];
  await live.submit(TARGET, submission, [lead, follower]);
  const take = () => live.take(SHARD, [lead.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  const mark = ['getrange p 10', 'setrange p 10', 'setrange p 39'];
  expect(await commandsOf(take)).toEqual([
    'getrange p 0',
    'scard w',
    'setrange p 0',
    'srandmember w',
    ...mark,
    'hincrby n',
  ]);
});

test('a job that comes again needs these commands for a prediction of a dead worker, and few for an ended prediction', async () => {
  const item = newPrediction({ expiresAt: NOW + 10 });
  await live.submit(TARGET, { priority: 'normal', job: `p-${item.id}`, nowMs: NOW }, [item]);
  const take =
    (worker: string, nowMs = NOW) =>
    () =>
      live.take(SHARD, [item.id], { worker, maxAttempts: 4, nowMs });
  await take('dead')();
  expect(await commandsOf(take('w1'))).toEqual(['getrange p 0', 'exists hb', 'set p']);
  expect(await commandsOf(take('w1', NOW + 10))).toEqual(['getrange p 0', 'set p', 'xadd ev', 'xadd rec']);
  expect(await commandsOf(take('w1', NOW + 10))).toEqual(['getrange p 0']);
  const late = newPrediction({ expiresAt: NOW + 10 });
  await live.submit(TARGET, { priority: 'normal', job: `p-${late.id}`, nowMs: NOW }, [late]);
  const expire = () => live.take(SHARD, [late.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW + 10 });
  expect(await commandsOf(expire)).toEqual(['getrange p 0', 'set p', 'xadd ev', 'xadd rec', 'hincrby n']);
});

test('a leader that was lost too often needs one script for a few followers', async () => {
  const [lead, follower] = [newPrediction({ flight: 'lost' }), newPrediction({ flight: 'lost' })];
  await live.submit(TARGET, { priority: 'normal', job: 'p-job', nowMs: NOW }, [lead, follower]);
  const take = (worker: string) => () => live.take(SHARD, [lead.id], { worker, maxAttempts: 1, nowMs: NOW });
  await take('dead')();
  const [leader, followers] = [
    ['scard w', 'exists hb', 'set p'],
    ['spop w', 'getrange p 0', 'set p', 'scard w'],
  ];
  const reports = ['xadd ev', 'xadd rec'];
  expect(await commandsOf(take('w1'))).toEqual([
    'getrange p 0',
    ...leader,
    ...followers,
    'get f',
    'pexpire f',
    ...reports,
  ]);
});

test('followers of one submission need these commands, and a cached result needs none of the queue', async () => {
  const submission = { priority: 'normal', job: 'p-job', nowMs: NOW } as const;
  const ofFlight = () => newPrediction({ flight: 'followed' });
  await live.submit(TARGET, submission, [ofFlight()]);
  const follow = ['set f', 'getrange p 0', 'exists w', 'set p', 'sadd w', 'pexpire w'];
  expect(await commandsOf(() => live.submit(TARGET, submission, [ofFlight(), ofFlight()]))).toEqual([
    ...['hget n', ...follow, 'sadd lead', 'setrange p 14', ...follow, 'hmget n'],
  ]);
  const known = newPrediction({ flight: 'known', known: '1' });
  expect(await commandsOf(() => live.submit(TARGET, submission, [known]))).toEqual([
    ...['hget n', 'set p', 'set p', 'xadd ev', 'xadd rec', 'hmget n'],
  ]);
});

test.each([
  [5, 450, 3],
  [120_000, 20, 3],
])('a result of %d characters ends %d followers in %d runs of a script', async (characters, count, runs) => {
  const flight = `runs-${characters}`;
  const submission = { priority: 'normal', job: 'p-job', nowMs: NOW } as const;
  const lead = newPrediction({ flight });
  await live.submit(TARGET, submission, [lead]);
  const followers = Array.from({ length: count }, () => newPrediction({ flight }));
  await live.submit(TARGET, submission, followers);
  const [taken] = await live.take(SHARD, [lead.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  if (!taken) throw new Error('The prediction was not taken.');
  const item = { ...taken, ...END, result: JSON.stringify('x'.repeat(characters)) };
  const commands = await commandsOf(() => live.finish(SHARD, [item], { worker: 'w1', nowMs: NOW }));
  expect(commands.filter((command) => command === 'spop w')).toHaveLength(runs);
  const states = await live.readMany(followers.map(({ id }) => id));
  expect(states.filter((state) => state?.status === 'succeeded')).toHaveLength(count);
});
