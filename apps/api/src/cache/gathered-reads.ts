/** Reads of the cache for many callers share a command: ioredis takes longer for a command than Redis takes for the read. */
import { Batcher } from '@millrace/shared/batching/batcher';
import { AT_ONCE, type ResultCacheOptions } from '@millrace/shared/cache/result-cache';
import { isWrongType } from '@millrace/shared/redis/wrong-type';

type Gather = NonNullable<ResultCacheOptions['gather']>;

/** Reads in progress at once while AT_ONCE callers wait. */
const READS_AT_ONCE = 4;

/** A lone read does not wait. While a read is in progress, further reads gather for the next command. */
export const gatherReads: Gather = (run) => {
  const reads = new Batcher({
    run,
    maxItems: AT_ONCE,
    fullConcurrency: READS_AT_ONCE,
    defer: (start) => process.nextTick(start),
    // When Redis does not respond, the waiting callers do not wait for another timeout.
    failsAll: (error) => !isWrongType(error),
  });
  return (place, listener) => reads.put(place, listener);
};
