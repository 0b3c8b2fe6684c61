/** Tests large tensors of waiting callers in shared memory. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { shardOf } from '@millrace/shared/predictions/ids';
import { slotFolder } from '@millrace/shared/predictions/slots';
import type { Connection } from '@millrace/shared/redis/connection';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { watchLooks } from '../support/after-look.ts';
import { useSmallModels } from '../support/small-models.ts';
import { taskInLedger } from '../support/task-in-ledger.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const MODEL = 'image';
const SHAPE = [1, 150, 150, 1];
const COUNT = 22_500;
const millrace = useSmallModels([MODEL]);
const afterLook = watchLooks();
let redis: Connection;
/** Subscribes like a worker on another machine. */
let distant: Connection;
beforeAll(() => {
  redis = connectTestRedis();
  distant = connectTestRedis();
  for (const slot of slots()) earlier.add(slot);
});
afterEach(() => distant.unsubscribe());
afterAll(async () => {
  redis.disconnect();
  distant.disconnect();
});

const folder = slotFolder() ?? '';
/** Slots of an earlier run of this file, which another process deletes later. */
const earlier = new Set<string>();
/**
 * The slots of the inputs of this file, whose rows have a length that other tests do not have. A file with another name has no row: its
 * memory waits for a further row.
 */
const slots = (): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(folder, name))
    .filter((file) => {
      if (!/^\d+$/.test(path.basename(file)) || earlier.has(file)) return false;
      const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
      return size > 4 * COUNT && size < 4 * COUNT + 100;
    });

let round = 0;

function input() {
  round += 1;
  const data = Float32Array.from({ length: COUNT }, (_, at) => at + round / 8);
  return { x: { shape: SHAPE, base64: Buffer.from(data.buffer).toString('base64') } };
}

const predict = (given: unknown, prefer = 'wait=30') => millrace.predict(MODEL, { input: given }, { prefer });
const isRight = (output: { y: { data: number[] } }) =>
  output.y.data.length === COUNT && output.y.data.every((value, at) => value === at + round / 8);

/** Bytes of the live state of the only open prediction. */
async function waitingBytes(): Promise<number> {
  const lengths = async () => {
    const keys = await keysOf(redis, `${millrace.keys.tag(shardOf(MODEL))}p:`);
    const states = await Promise.all(keys.map((key) => redis.getBuffer(key)));
    return states.flatMap((state) => (state && state[10] === 0x71 ? [state.length] : []));
  };
  await expect.poll(async () => (await lengths()).length).toBe(1);
  return (await lengths())[0] ?? 0;
}

beforeEach(async () => {
  if (millrace.workers.length === 0) await millrace.startWorker();
  await afterLook();
});

/** Whether the prediction succeeds with its tensor, also when a busy machine needs longer than the wait of the caller. */
async function isComputed(response: ReturnType<typeof predict>): Promise<boolean> {
  let { body } = await response;
  await expect
    .poll(
      async () => {
        body = (await millrace.request(`/v1/predictions/${body.id}?wait=5`)).body;
        return body.status;
      },
      { timeout: 60_000 },
    )
    .toBe('succeeded');
  return isRight(body.output);
}

test('a large tensor of a waiting caller is in shared memory until its result is delivered', async () => {
  millrace.workers[0]?.signal('SIGSTOP');
  const response = predict(input());
  expect(await waitingBytes()).toBeLessThan(1_000);
  expect(slots()).toHaveLength(1);
  millrace.workers[0]?.signal('SIGCONT');
  expect(await isComputed(response)).toBe(true);
  await expect.poll(slots).toEqual([]);
});

/** Calls of the engines of the only worker. */
async function calls(): Promise<number> {
  const text = await (await fetch(`${millrace.workers[0]?.url}/metrics`)).text();
  const counts = [...text.matchAll(/^millrace_model_run_seconds_count\{[^}]*model="image"[^}]*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test('a row in a slot that is begun before its prediction is taken runs once', async () => {
  expect(await isComputed(predict(input()))).toBe(true);
  const before = await calls();
  expect(before).toBeGreaterThan(0);
  for (let at = 0; at < 5; at += 1) expect(await isComputed(predict(input()))).toBe(true);
  await expect.poll(calls).toBe(before + 5);
});

test('a worker that starts later reads the slot', async () => {
  millrace.workers[0]?.signal('SIGSTOP');
  const response = predict(input());
  expect(await waitingBytes()).toBeLessThan(1_000);
  await millrace.stopWorkers('kill');
  await millrace.startWorker();
  expect(await isComputed(response)).toBe(true);
});

test('a prediction whose slot is gone is submitted again with its tensor', async () => {
  millrace.workers[0]?.signal('SIGSTOP');
  const response = predict(input());
  await waitingBytes();
  for (const slot of slots()) rmSync(slot);
  millrace.workers[0]?.signal('SIGCONT');
  expect(await isComputed(response)).toBe(true);
});

test('beside a worker of another machine, the tensor goes through Redis', async () => {
  const { keys } = millrace;
  await distant.subscribe(keys.registryChannel(), keys.bytesChannel(), keys.liftChannel());
  await afterLook();
  millrace.workers[0]?.signal('SIGSTOP');
  const response = predict(input());
  expect(await waitingBytes()).toBeGreaterThan(4 * COUNT);
  millrace.workers[0]?.signal('SIGCONT');
  expect(await isComputed(response)).toBe(true);
});

test('a caller that stops waiting gets its result from the slot, and the ledger has the tensor', async () => {
  millrace.workers[0]?.signal('SIGSTOP');
  const response = predict(input(), 'wait=1');
  const { status, body } = await response;
  expect([status, slots().length > 0]).toEqual([202, true]);
  expect((await taskInLedger(millrace, body.id)).length).toBeGreaterThan(4 * COUNT);
  millrace.workers[0]?.signal('SIGCONT');
  expect(await isComputed(response)).toBe(true);
});
