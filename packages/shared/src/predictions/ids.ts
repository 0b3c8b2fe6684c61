/**
 * Prediction ids are UUIDv7 (RFC 9562): they sort by time, and the ledger is partitioned by them. The 12 bits of
 * `rand_a` hold the shard of the prediction's model, so that any process finds its Redis keys from the id alone.
 */
import { createHash, randomFillSync } from 'node:crypto';

/** Hash-slot groups that models are spread over; a power of two, at most 4,096. Old ids keep the shard they carry. */
export const SHARDS = 16;

// Asked for several times a request: hashing anew each time was a twentieth of the API's time.
const shards = new Map<string, number>();
const SHARDS_KEPT = 10_000;

/** A model's shard, the same in every process for ever. */
export function shardOf(model: string): number {
  let shard = shards.get(model);
  if (shard === undefined) {
    shard = createHash('sha256').update(model).digest().readUInt16BE(0) % SHARDS;
    if (shards.size >= SHARDS_KEPT) shards.clear();
    shards.set(model, shard);
  }
  return shard;
}

// Random bytes for many ids at once, as hexadecimal digits: a system call per id, or a text of each byte, would show on the
// fast path.
const IDS_PER_POOL = 512;
const pool = Buffer.allocUnsafe(8 * IDS_PER_POOL);
let digits = '';
let used = 0;

/** 16 random hexadecimal digits begin here in `digits`. */
function randomOffset(): number {
  if (used === digits.length) {
    randomFillSync(pool);
    // The variant of RFC 9562: the two upper bits are 10.
    for (let at = 0; at < pool.length; at += 8) pool[at] = ((pool[at] as number) & 0x3f) | 0x80;
    digits = pool.toString('hex');
    used = 0;
  }
  used += 16;
  return used - 16;
}

/** What ids of one millisecond have in common, made once. */
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

/** A new id for a prediction of a model in `shard`, made at `nowMs` (whole Unix milliseconds). */
export function newPredictionId(shard: number, nowMs: number): string {
  const at = randomOffset();
  const tail = `${digits.slice(at, at + 4)}-${digits.slice(at + 4, at + 16)}`;
  return `${prefixOf(nowMs)}${SHARD_DIGITS[shard] ?? shardDigits(shard)}-${tail}`;
}

const PREDICTION_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether the text is an id that we could have made. */
export function isPredictionId(text: string): boolean {
  return PREDICTION_ID.test(text);
}

/** The shard that an id carries. */
export function shardOfId(id: string): number {
  return Number.parseInt(id.slice(15, 18), 16);
}

/** When an id was made, in Unix milliseconds. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The smallest id made at or after `timeMs`: a bound for time ranges over ids and for the ledger's partitions. */
export function idBoundAt(timeMs: number): string {
  const hexTime = timeMs.toString(16).padStart(12, '0');
  return `${hexTime.slice(0, 8)}-${hexTime.slice(8)}-0000-0000-000000000000`;
}
