/** How far the recorders are behind: the age of the oldest end that is not in the ledger yet, by the clock of Redis. */

import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { SetAside } from './set-aside.ts';

// KEYS: a stream. Returns the id of its first entry ('' when it is empty), the id that was given out last, and Unix ms. The
// entry itself may be large and stays where it is.
const OLDEST = `
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if redis.call('EXISTS', KEYS[1]) == 0 then return { '', '0-0', now } end
local info, of = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for n = 1, #info, 2 do of[info[n]] = info[n + 1] end
local first, last = of['first-entry'], of['last-generated-id']
return { first and first[1] or '', last, now }`;

export interface StreamSpan {
  /** Id of the first entry that is not recorded; null when there is none. */
  oldest: string | null;
  /** Id of the entry that was added last, whether it is still there or not. */
  last: string;
  /** Age of the first entry. */
  lagMs: number;
}

export async function spanOf(redis: Connection, keys: Keys, shard: number): Promise<StreamSpan> {
  const [oldest, last, now] = (await redis.eval(OLDEST, 1, keys.ledger(shard))) as [string, string, string];
  const lagMs = oldest === '' ? 0 : Math.max(0, Number(now) - Number(oldest.split('-')[0]));
  return { oldest: oldest === '' ? null : oldest, last, lagMs };
}

/** Whether an entry with the id `entry` or an older one cannot be in the stream any more. */
export function isPast(span: StreamSpan, entry: string): boolean {
  return span.oldest === null || compareIds(span.oldest, entry) > 0;
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs - bMs || aSeq - bSeq;
}

export interface RecorderLag {
  /** Age of the oldest end that waits, in the streams or set aside and due. */
  lagMs: number;
  /** Ends that are set aside. */
  setAside: number;
}

export async function measureLag(deps: {
  redis: Connection;
  keys: Keys;
  setAside: SetAside;
  shards: readonly number[];
}): Promise<RecorderLag> {
  const { redis, keys, setAside, shards } = deps;
  const lags = await Promise.all(
    shards.map(async (shard) => {
      const [span, waiting] = await Promise.all([spanOf(redis, keys, shard), setAside.waiting(shard)]);
      return { lagMs: Math.max(span.lagMs, waiting.overdueMs), setAside: waiting.count };
    }),
  );
  return {
    lagMs: Math.max(0, ...lags.map(({ lagMs }) => lagMs)),
    setAside: lags.reduce((sum, { setAside: count }) => sum + count, 0),
  };
}
