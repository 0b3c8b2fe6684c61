/**
 * How many bytes the outputs of each model have, as workers measure them. A waiting prediction will put its output into the
 * queue Redis: admission reserves the room before the output is there.
 */
import { SHARDS, shardOf } from '../predictions/ids.ts';
import { type Connection, memoryUse } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

/** Each run has this weight in the mean of its model. */
const WEIGHT = 0.2;
/** A mean that has moved by less than this part is not written again before AGAIN_MS. */
const MOVED_PART = 0.1;
const PACE_MS = 1_000;
/** Written again after this long, since another Redis may stand in place of the one that knew. */
const AGAIN_MS = 60_000;

// KEYS: sizes of a shard. ARGV: model, bytes. Some 50 bytes for each model, so the script may run while Redis is full.
const WRITE = `#!lua flags=allow-oom
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`;

// KEYS: sizes of a shard. ARGV: prefix of the counters of its queues. Returns for each model its name, how many predictions
// wait for it, and the bytes of an output.
const READ = `#!lua flags=no-writes
local found = redis.call('HGETALL', KEYS[1])
local out = {}
for n = 1, #found, 2 do
  local counts = redis.call('HMGET', ARGV[1] .. found[n], 's1', 's5', 's9', 't1', 't5', 't9')
  for m = 1, 6 do counts[m] = tonumber(counts[m] or '0') end
  out[#out + 1] = found[n]
  out[#out + 1] = math.max(0, counts[1] + counts[2] + counts[3] - counts[4] - counts[5] - counts[6])
  out[#out + 1] = found[n + 1]
end
return out`;

interface Measured {
  bytes: number;
  written: number;
  writtenAt: number;
}

/** A worker's side: the mean size of the outputs of each model. */
export class OutputSizes {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #now: () => number;
  readonly #measured = new Map<string, Measured>();

  constructor(redis: Connection, keys: Keys, now: () => number = () => performance.now()) {
    this.#redis = redis;
    this.#keys = keys;
    this.#now = now;
  }

  /** Mean bytes of an output of the model; 0 while none was measured. */
  of(model: string): number {
    return this.#measured.get(model)?.bytes ?? 0;
  }

  /** A run of the model has made so many outputs, of so many bytes together. Writes to Redis now and then, and rejects never. */
  measured(model: string, outputs: number, bytes: number): void {
    if (outputs === 0) return;
    const mean = bytes / outputs;
    let one = this.#measured.get(model);
    if (one === undefined) {
      one = { bytes: mean, written: Number.NaN, writtenAt: Number.NEGATIVE_INFINITY };
      this.#measured.set(model, one);
    } else one.bytes += (mean - one.bytes) * WEIGHT;
    const sinceMs = this.#now() - one.writtenAt;
    if (sinceMs < PACE_MS) return;
    if (sinceMs < AGAIN_MS && Math.abs(one.bytes - one.written) <= one.written * MOVED_PART) return;
    one.written = one.bytes;
    one.writtenAt = this.#now();
    const key = this.#keys.outputSizes(shardOf(model));
    // A write that failed is made up for by a later one.
    this.#redis.eval(WRITE, 1, key, model, Math.round(one.bytes)).catch(() => {});
  }
}

/** What the waiting predictions of a model will need. */
export interface WaitingOutputs {
  model: string;
  waiting: number;
  /** Mean bytes of an output. */
  bytes: number;
}

/** The memory of the queue Redis. */
export interface QueueMemory {
  /** Part in use, 0 to 1: of a cluster, that of its fullest master. */
  share: number;
  /** What all of its servers may use together. */
  limitBytes: number;
  /** Models of which outputs were measured. */
  outputs: WaitingOutputs[];
}

/** One script for each shard, whatever the number of models and of predictions. */
export async function readQueueMemory(redis: Connection, keys: Keys): Promise<QueueMemory> {
  const [use, ...shards] = await Promise.all([
    memoryUse(redis),
    ...Array.from({ length: SHARDS }, (_, shard) => readShard(redis, keys, shard)),
  ]);
  return { ...use, outputs: shards.flat() };
}

async function readShard(redis: Connection, keys: Keys, shard: number): Promise<WaitingOutputs[]> {
  const key = keys.outputSizes(shard);
  const reply = (await redis.eval(READ, 1, key, keys.queueStats(shard, ''))) as (string | number)[];
  const outputs: WaitingOutputs[] = [];
  for (let at = 0; at < reply.length; at += 3)
    outputs.push({ model: String(reply[at]), waiting: Number(reply[at + 1]), bytes: Number(reply[at + 2]) || 0 });
  return outputs;
}

/** Part of the memory that the outputs of all waiting predictions will need, 0 to 1 and beyond. */
export function reservedShare({ outputs, limitBytes }: QueueMemory): number {
  const bytes = outputs.reduce((sum, { waiting, bytes }) => sum + waiting * bytes, 0);
  return limitBytes > 0 ? bytes / limitBytes : 0;
}
