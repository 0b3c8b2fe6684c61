/** Outputs that together exceed the queue Redis. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { Redis } from 'ioredis';
import { repeater } from '../../support/onnx-models.ts';
import type { Fault } from '../fault.ts';
import { nextNumber, type TestRequest, writeModels } from '../models.ts';
import type { Stage, StageSettings } from '../stage.ts';
import { untilEnded } from '../verify.ts';

/** 220,000 numbers of eight digits: 2 MB of JSON. */
const WIDTH = 220_000;
const MIB = 1_048_576;
const MEMORY_BYTES = 60 * MIB;
const PATIENCE_MS = 180_000;

/** A stage that also serves a model with 2 MB outputs. */
async function withLargeModel(): Promise<StageSettings> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-chaos-large-'));
  await writeModels(dir);
  await mkdir(path.join(dir, 'large', '1'), { recursive: true });
  await writeFile(path.join(dir, 'large', '1', 'model.onnx'), repeater(WIDTH));
  await writeFile(path.join(dir, 'large', 'model.json'), JSON.stringify({ max_batch: 4, row_independent: true }));
  return { models: ['quick', 'slow', 'lookup', 'large'], env: { MODELS_DIR: dir } };
}

/** An input whose output is a number, 220,000 times. */
function large(): TestRequest {
  const x = 10_000_000 + nextNumber();
  const data = `[${new Array(WIDTH).fill(x).join(',')}]`;
  const expected = `{"y":{"dtype":"float32","shape":[1,${WIDTH}],"data":${data}}}`;
  return { model: 'large', input: { x: [[x]] }, expected };
}

const memory = async (redis: Redis, field: string): Promise<number> =>
  Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.info('memory'))?.[1]);

/** Repeats a request while the API refuses with 429. Resolves to the number of refusals and the final status. */
async function submitPatiently(
  { client }: Stage,
  mode: 'wait' | 'async',
): Promise<{ refused: number; status: number }> {
  const deadline = performance.now() + PATIENCE_MS;
  const request = large();
  for (let refused = 0; ; refused += 1) {
    const { status } = await client.submit(request, { mode });
    if (status !== 429 || performance.now() > deadline) return { refused, status };
    await delay(100);
  }
}

export const fullStoreFaults: Fault[] = [
  {
    name: 'outputs-fill-redis',
    how: 'queue Redis of 60 MB, one worker, 60 accepted predictions with 2 MB outputs, and 60 to 300 more, each repeated while it is refused',
    stage: withLargeModel,
    async run({ stage, note, expect }) {
      const base = await stage.withRedis((redis) => memory(redis, 'used_memory'));
      const limit = (bytes: number) => stage.withRedis((redis) => redis.config('SET', 'maxmemory', String(bytes)));
      await limit(base + MEMORY_BYTES);
      stage.atEnd(async () => void (await limit(0)));
      // No output is measured yet, so most requests are accepted at once, more than the memory can hold.
      const outcomes = await Promise.all(Array.from({ length: 60 }, () => submitPatiently(stage, 'async')));
      const accepted = outcomes.filter(({ status }) => status === 202 || status === 200).length;
      let refused = outcomes.reduce((sum, { refused: times }) => sum + times, 0);
      // When an output is measured, the API refuses work whose outputs do not fit, until there is room.
      const measured = () => stage.withRedis((redis) => redis.hget(stage.keys.outputSizes(shardOf('large')), 'large'));
      while ((await measured()) === null) await delay(50);
      refused += (await submitPatiently(stage, 'async')).refused;
      await delay(200);
      // The API counts the outputs a few times a second: between two counts it can accept all 60.
      for (let rounds = 0; rounds < 5 && refused === 0; rounds += 1) {
        const more = await Promise.all(Array.from({ length: 60 }, () => submitPatiently(stage, 'async')));
        refused += more.reduce((sum, one) => sum + one.refused, 0);
      }
      const late = await submitPatiently(stage, 'wait');
      refused += late.refused;
      const left = await untilEnded(stage, PATIENCE_MS);
      const succeeded = stage.client.entries.filter(({ seen }) => seen?.status === 'succeeded').length;
      const [ledger] = await stage.sql<{ most: number }>(
        "SELECT max(attempts)::int AS most FROM predictions WHERE model = 'large'",
      );
      const peak = await stage.withRedis((redis) => memory(redis, 'used_memory_peak'));
      note(
        `${accepted} of 60 accepted at first, ${succeeded} of ${stage.client.entries.length} succeeded, each with ${ledger?.most} attempt at most; ${refused} times 429 meanwhile, then ${late.status}; Redis used at most ${Math.round(peak / MIB)} of ${Math.round((base + MEMORY_BYTES) / MIB)} MiB`,
      );
      expect(accepted === 60, `${accepted} of 60 were accepted`);
      expect(left === 0, `${left} had not ended after ${PATIENCE_MS / 1_000} s`);
      expect(ledger?.most === 1, `a prediction took ${ledger?.most} attempts, although no worker died`);
      expect(refused > 0, 'nothing was refused while the outputs filled Redis');
      expect(late.status === 200, `new work got ${late.status} at the end`);
      return undefined;
    },
  },
];
