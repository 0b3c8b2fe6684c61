/** The streams of ends that the recorder has to write: how old their oldest entries are, on the clock of Redis. */
import { SHARDS } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { scriptOf } from '../redis/script.ts';

// KEYS: a stream. Returns the id of the first entry ('' for an empty stream), the last generated id, and Unix ms. Does not return
// the entry itself, which may be large.
const OLDEST = scriptOf(`
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if redis.call('EXISTS', KEYS[1]) == 0 then return { '', '0-0', now } end
local info, of = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for n = 1, #info, 2 do of[info[n]] = info[n + 1] end
local first, last = of['first-entry'], of['last-generated-id']
return { first and first[1] or '', last, now }`);

export interface StreamSpan {
  /** Id of the first unrecorded entry; null for an empty stream. */
  oldest: string | null;
  /** Id of the last added entry, which may have been removed since. */
  last: string;
  /** Age of the first entry. */
  lagMs: number;
}

export async function spanOf(redis: Connection, keys: Keys, shard: number): Promise<StreamSpan> {
  const reply = await OLDEST(redis, 1, keys.ledger(shard));
  const [oldest = '', last = '0-0', now = ''] = Array.isArray(reply) ? reply.map(String) : [];
  const lagMs = oldest === '' ? 0 : Math.max(0, Number(now) - Number(oldest.split('-')[0]));
  return { oldest: oldest === '' ? null : oldest, last, lagMs };
}

/** Whether the entry with the id `entry`, and every older entry, has left the stream. */
export function isPast(span: StreamSpan, entry: string): boolean {
  return span.oldest === null || compareIds(span.oldest, entry) > 0;
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs - bMs || aSeq - bSeq;
}

/** Age of the oldest entry of all shards in milliseconds. Ends that were set aside do not count. */
export async function oldestEndMs(redis: Connection, keys: Keys): Promise<number> {
  const spans = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => spanOf(redis, keys, shard)));
  return Math.max(...spans.map(({ lagMs }) => lagMs));
}
