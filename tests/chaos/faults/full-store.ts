/** Outputs that do not fit into the queue Redis together. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { Redis } from 'ioredis';
import { repeater } from '../../support/onnx-models.ts';
import type { Fault } from '../fault.ts';
import { nextNumber, type Question, writeModels } from '../models.ts';
import type { Stage, StageSettings } from '../stage.ts';
import { untilEnded } from '../verify.ts';

/** 220,000 numbers of eight digits: 2 MB of JSON. */
const WIDTH = 220_000;
const MIB = 1_048_576;
const MEMORY_BYTES = 60 * MIB;
const PATIENCE_MS = 180_000;

/** A stage that serves a model of 2 MB outputs beside the others. */
async function withLargeModel(): Promise<StageSettings> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-chaos-large-'));
  await writeModels(dir);
  await mkdir(path.join(dir, 'large', '1'), { recursive: true });
  await writeFile(path.join(dir, 'large', '1', 'model.onnx'), repeater(WIDTH));
  await writeFile(path.join(dir, 'large', 'model.json'), JSON.stringify({ max_batch: 4, row_independent: true }));
  return { models: ['quick', 'slow', 'lookup', 'large'], env: { MODELS_DIR: dir } };
}

/** Asks for a number, 220,000 times over. */
function large(): Question {
  const x = 10_000_000 + nextNumber();
  const data = `[${new Array(WIDTH).fill(x).join(',')}]`;
  const expected = `{"y":{"dtype":"float32","shape":[1,${WIDTH}],"data":${data}}}`;
  return { model: 'large', input: { x: [[x]] }, expected };
}

const memory = async (redis: Redis, field: string): Promise<number> =>
  Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.info('memory'))?.[1]);

/** Repeats a request while it is refused with 429; resolves to how often it was, and how it was answered at last. */
async function askPatiently({ client }: Stage, mode: 'wait' | 'async'): Promise<{ refused: number; status: number }> {
  const deadline = performance.now() + PATIENCE_MS;
  const question = large();
  for (let refused = 0; ; refused += 1) {
    const { status } = await client.ask(question, { mode });
    if (status !== 429 || performance.now() > deadline) return { refused, status };
    await delay(100);
  }
}

export const fullStoreFaults: Fault[] = [
  {
    name: 'outputs-fill-redis',
    how: 'queue Redis of 60 MB, 60 accepted predictions of 2 MB outputs and 60 more that are repeated while they are refused, one worker',
    stage: withLargeModel,
    async run({ stage, note, expect }) {
      const base = await stage.withRedis((redis) => memory(redis, 'used_memory'));
      const limit = (bytes: number) => stage.withRedis((redis) => redis.config('SET', 'maxmemory', String(bytes)));
      await limit(base + MEMORY_BYTES);
      stage.atEnd(async () => void (await limit(0)));
      // No output was measured yet: most are accepted at once, and more than fits.
      const asked = await Promise.all(Array.from({ length: 60 }, () => askPatiently(stage, 'async')));
      const accepted = asked.filter(({ status }) => status === 202 || status === 200).length;
      let refused = asked.reduce((sum, one) => sum + one.refused, 0);
      // Once an output is measured, work beyond the room for its outputs is refused until there is room.
      const measured = () => stage.withRedis((redis) => redis.hget(stage.keys.outputSizes(shardOf('large')), 'large'));
      while ((await measured()) === null) await delay(50);
      refused += (await askPatiently(stage, 'async')).refused;
      await delay(200);
      const more = await Promise.all(Array.from({ length: 60 }, () => askPatiently(stage, 'async')));
      refused += more.reduce((sum, one) => sum + one.refused, 0);
      const late = await askPatiently(stage, 'wait');
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
      expect(ledger?.most === 1, `a prediction took ${ledger?.most} attempts, though no worker died`);
      expect(refused > 0, 'nothing was refused while the outputs filled Redis');
      expect(late.status === 200, `new work was answered with ${late.status} in the end`);
      return undefined;
    },
  },
];
