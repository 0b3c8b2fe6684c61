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

const pool = Buffer.allocUnsafe(8 * 512);
let used = pool.length;

/** Eight random bytes from a pool: a system call per id would show on the fast path. */
function randomOffset(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 8;
  return used - 8;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const hex = (byte: number): string => HEX[byte] as string;

/** A new id for a prediction of a model in `shard`, made at `nowMs` (Unix milliseconds). */
export function newPredictionId(shard: number, nowMs: number): string {
  const at = randomOffset();
  const high = Math.floor(nowMs / 0x10000);
  const time = high.toString(16).padStart(8, '0');
  const low = (nowMs % 0x10000).toString(16).padStart(4, '0');
  const b = (i: number) => pool[at + i] as number;
  return (
    `${time}-${low}-7${shard.toString(16).padStart(3, '0')}-${hex((b(0) & 0x3f) | 0x80)}${hex(b(1))}-` +
    `${hex(b(2))}${hex(b(3))}${hex(b(4))}${hex(b(5))}${hex(b(6))}${hex(b(7))}`
  );
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
