/** Measures the lag of the recorders: the age of the oldest end that is not in the ledger yet, on the clock of Redis. */

import { spanOf } from '@millrace/shared/live/ledger-stream';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { SetAside } from './set-aside.ts';

export interface RecorderLag {
  /** Age of the oldest waiting end, in a stream, or set aside and due. */
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
