/**
 * Computes the memory that the queue Redis needs for outputs that are not written yet: the outputs of waiting predictions, of
 * running predictions and of followers, because each follower gets a copy. Admission leaves this memory free.
 */
import { SHARDS, shardOf } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { type MemoryUse, memoryUse } from '../redis/memory-use.ts';
import { scriptOf } from '../redis/script.ts';

/** A worker that has not repeated its report for this time counts as dead. */
const RUN_REPORT_S = 15;
/** Maximum number of leaders whose followers a script run counts. With more leaders the script counts a sample. */
const LEADERS_COUNTED = 200;

/**
 * KEYS: sizes of a shard, runs of its workers. ARGV: prefixes of the queue counters, of the leaders of a model, of live states,
 * and of followers. Returns for each model its name, the number of predictions that ever entered its queue, the number of pending
 * outputs, and the bytes of an output. A leader counts until its computation has ended, so that the count needs no correction for
 * processes of older versions and for workers that die.
 */
const READ = scriptOf(`#!lua flags=allow-oom
local sizes, runs, now = redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('TIME')[1]
local running = {}
for n = 1, #runs, 2 do
  local count, at = string.match(runs[n + 1], '^(%d+) (%d+)$')
  local model = string.match(runs[n], '^%S+ (.*)$')
  if not count or not model or now - at > ${RUN_REPORT_S} then redis.call('HDEL', KEYS[2], runs[n])
  else running[model] = (running[model] or 0) + count end
end
local counted = 0
local function followers(model)
  local index = ARGV[2] .. model
  local leaders = redis.call('SCARD', index)
  local most = ${LEADERS_COUNTED} - counted
  if leaders == 0 or most <= 0 then return 0 end
  local sample, sum = redis.call('SRANDMEMBER', index, most), 0
  for _, leader in ipairs(sample) do
    local head = redis.call('GETRANGE', ARGV[3] .. leader, 10, 13)
    if string.find(head, '^[qr]') or string.sub(head, 4, 4) == '1' then
      sum = sum + redis.call('SCARD', ARGV[4] .. leader)
    else
      redis.call('SREM', index, leader)
    end
  end
  counted = counted + #sample
  return math.ceil(sum * leaders / #sample)
end
local out = {}
for n = 1, #sizes, 2 do
  local model = sizes[n]
  local counts = redis.call('HMGET', ARGV[1] .. model, 's1', 's5', 's9', 't1', 't5', 't9')
  for m = 1, 6 do counts[m] = tonumber(counts[m] or '0') end
  local entered = counts[1] + counts[2] + counts[3]
  local waiting = math.max(0, entered - counts[4] - counts[5] - counts[6])
  out[#out + 1] = model
  out[#out + 1] = entered
  out[#out + 1] = waiting + (running[model] or 0) + followers(model)
  out[#out + 1] = sizes[n + 1]
end
return out`);

// KEYS: sizes of a shard. ARGV: model, bytes. A measured size stays.
const EXPECT = `#!lua flags=allow-oom
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])`;

/** The outputs of a model that are not written yet. */
export interface PendingOutputs {
  model: string;
  /** Number of predictions that ever entered its queue. */
  entered: number;
  /** Number of outputs that are not written yet. */
  outputs: number;
  /** Mean bytes of an output. */
  bytes: number;
}

export interface QueueMemory extends MemoryUse {
  /** Models with a measured or expected output size. */
  pending: readonly PendingOutputs[];
}

/** Reads the memory of the servers and the pending outputs, with one script run for each shard. */
export async function readQueueMemory(redis: Connection, keys: Keys): Promise<QueueMemory> {
  const [use, pending] = await Promise.all([memoryUse(redis, keys), readPending(redis, keys)]);
  return { ...use, pending };
}

/** Reads the pending outputs, with one script run for each shard. */
export async function readPending(redis: Connection, keys: Keys): Promise<PendingOutputs[]> {
  const shards = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => readShard(redis, keys, shard)));
  return shards.flat();
}

async function readShard(redis: Connection, keys: Keys, shard: number): Promise<PendingOutputs[]> {
  const prefixes = [
    keys.queueStats(shard, ''),
    keys.leaders(shard, ''),
    `${keys.tag(shard)}p:`,
    `${keys.tag(shard)}w:`,
  ];
  const reply = await READ(redis, 2, keys.outputSizes(shard), keys.outputRuns(shard), ...prefixes);
  const pending: PendingOutputs[] = [];
  if (!Array.isArray(reply)) return pending;
  for (let at = 0; at < reply.length; at += 4) {
    const [entered, outputs, bytes] = [reply[at + 1], reply[at + 2], reply[at + 3]].map(Number);
    pending.push({ model: String(reply[at]), entered: entered ?? 0, outputs: outputs ?? 0, bytes: bytes || 0 });
  }
  return pending;
}

export interface ExpectOutputParams {
  model: string;
  bytes: number;
}

/** Stores the expected bytes of an output of a model, until a worker has measured an output. */
export async function expectOutput(redis: Connection, keys: Keys, { model, bytes }: ExpectOutputParams): Promise<void> {
  await redis.eval(EXPECT, 1, keys.outputSizes(shardOf(model)), model, Math.round(bytes));
}

/** Returns for each server the part of its memory that pending outputs need: 1 is all of the memory, and more is possible. */
export function reservedShares({ pending, servers, serverOf }: QueueMemory): number[] {
  const bytes = servers.map(() => 0);
  for (const { model, outputs, bytes: each } of pending) {
    const server = serverOf[shardOf(model)] ?? 0;
    bytes[server] = (bytes[server] ?? 0) + outputs * each;
  }
  return bytes.map((sum, at) => (servers[at]?.limitBytes ? sum / servers[at].limitBytes : 0));
}
