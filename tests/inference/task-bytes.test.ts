/** Tests which form the tasks of raw tensors have, beside processes of the current version and of older versions. */
import { taskAt } from '@millrace/shared/live/state';
import { shardOf } from '@millrace/shared/predictions/ids';
import { readTask } from '@millrace/shared/predictions/task';
import type { Connection } from '@millrace/shared/redis/connection';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { watchLooks } from '../support/after-look.ts';
import { useSmallModels } from '../support/small-models.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const millrace = useSmallModels(['rows']);
const afterLook = watchLooks();
let redis: Connection;
/** Subscribes like a process of an older version. */
let older: Connection;
beforeAll(() => {
  redis = connectTestRedis();
  older = connectTestRedis();
});
beforeEach(() => millrace.stopWorkers('stop'));
afterEach(() => older.unsubscribe());
afterAll(async () => {
  redis.disconnect();
  older.disconnect();
});

let next = 100;

/** Sends two rows while no worker runs, starts a worker for the result, and returns the first byte of the task in Redis. */
async function firstByte(prefer: string): Promise<number> {
  next += 2;
  const states = `${millrace.keys.tag(shardOf('rows'))}p:`;
  const known = new Set(await keysOf(redis, states));
  const x = [
    [next, 1],
    [1, next],
  ];
  const response = millrace.predict('rows', { input: { x } }, { prefer, 'cache-control': 'no-cache' });
  const added = async () => (await keysOf(redis, states)).find((key) => !known.has(key));
  await expect.poll(added).toBeDefined();
  const state = (await redis.getBuffer((await added()) ?? '')) ?? Buffer.alloc(0);
  const task = state.subarray(taskAt(state, Number(state.toString('latin1', 81, 87))));
  expect(readTask(task)?.rows).toHaveLength(2);
  await millrace.startWorker();
  const { id } = (await response).body;
  const { output } = (await millrace.request(`/v1/predictions/${id}?wait=30`)).body;
  expect([output.y.shape, output.y.data[0], output.y.data[2]]).toEqual([[2, 2], next + 2, 1 + 2 * next]);
  await millrace.stopWorkers('stop');
  return task[0] ?? -1;
}

const BRACE = 0x7b;

test('the task of a waiting caller is bytes, and the task of a promise is text', async () => {
  await afterLook();
  expect(await firstByte('wait=30')).toBe(1);
  expect(await firstByte('respond-async')).toBe(BRACE);
});

test('beside a process of an older version, every task is text', async () => {
  await older.subscribe(millrace.keys.registryChannel());
  await afterLook();
  expect(await firstByte('wait=30')).toBe(BRACE);
  await older.unsubscribe();
  await afterLook();
  expect(await firstByte('wait=30')).toBe(1);
});
