/**
 * Prediction ids are UUIDv7 (RFC 9562): the ids sort by time, and the ledger is partitioned by id. The 12 bits of `rand_a`
 * contain the shard of the model, so that any process derives the Redis keys of a prediction from the id alone.
 */
import { createHash, randomFillSync } from 'node:crypto';

/** Number of shards; a power of two, at most 4,096. Existing ids keep their shard. */
export const SHARDS = 16;

// The shard is needed several times for each request. Without the map, hashing took a twentieth of the CPU time of the API.
const shards = new Map<string, number>();
const SHARDS_KEPT = 10_000;

/** Returns the shard of a model, which is the same in every process and never changes. */
export function shardOf(model: string): number {
  let shard = shards.get(model);
  if (shard === undefined) {
    shard = createHash('sha256').update(model).digest().readUInt16BE(0) % SHARDS;
    if (shards.size >= SHARDS_KEPT) shards.clear();
    shards.set(model, shard);
  }
  return shard;
}

// Random bytes for many ids, as hexadecimal digits. A system call for each id, or a string for each byte, is too slow on the hot
// path.
const IDS_PER_POOL = 512;
const pool = Buffer.allocUnsafe(8 * IDS_PER_POOL);
let digits = '';
let used = 0;

/** Returns the offset in `digits` of 16 unused random digits. */
function randomOffset(): number {
  if (used === digits.length) {
    randomFillSync(pool);
    // The variant of RFC 9562: the two upper bits are 10.
    for (let at = 0; at < pool.length; at += 8) pool[at] = (pool.readUInt8(at) & 0x3f) | 0x80;
    digits = pool.toString('hex');
    used = 0;
  }
  used += 16;
  return used - 16;
}

/** The first digits of all ids of a millisecond, formatted once. */
let prefixMs = -1;
let prefix = '';

function prefixOf(nowMs: number): string {
  if (nowMs !== prefixMs) {
    const time = nowMs.toString(16).padStart(12, '0');
    prefixMs = nowMs;
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }
  return prefix;
}

const shardDigits = (shard: number): string => shard.toString(16).padStart(3, '0');
const SHARD_DIGITS = Array.from({ length: SHARDS }, (_, shard) => shardDigits(shard));

/** Returns a new id for a prediction of a model in `shard`, created at `nowMs` (whole Unix milliseconds). */
export function newPredictionId(shard: number, nowMs: number): string {
  const at = randomOffset();
  const tail = `${digits.slice(at, at + 4)}-${digits.slice(at + 4, at + 16)}`;
  return `${prefixOf(nowMs)}${SHARD_DIGITS[shard] ?? shardDigits(shard)}-${tail}`;
}

const PREDICTION_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether the text has the form of a prediction id. */
export function isPredictionId(text: string): boolean {
  return PREDICTION_ID.test(text);
}

/** Returns the shard in an id. */
export function shardOfId(id: string): number {
  return Number.parseInt(id.slice(15, 18), 16);
}

/** Returns the creation time of an id, in Unix milliseconds. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Returns the smallest possible id of `timeMs`: a bound for time ranges over ids and for the partitions of the ledger. */
export function idBoundAt(timeMs: number): string {
  const hexTime = timeMs.toString(16).padStart(12, '0');
  return `${hexTime.slice(0, 8)}-${hexTime.slice(8)}-0000-0000-000000000000`;
}
