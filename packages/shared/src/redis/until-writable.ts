/** Waits for a Redis that takes writes again. */
import { setTimeout as delay } from 'node:timers/promises';
import { isRefusal } from './redis-fault.ts';

/** Pauses between attempts. The pauses grow, because a failover ends soon and a full memory or a full disk does not. */
const PAUSE_MS = 100;
const PAUSE_MAX_MS = 2_000;

/**
 * Repeats a call while the server refuses the call: because the server is a replica, has no memory (OOM) or no disk (MISCONF), or
 * because the user lacks a permission. A refused call wrote nothing. A worker uses this function and waits for Redis without a
 * limit. Otherwise the results would be computed again, and the predictions would run out of attempts.
 */
export async function untilWritable<T>(call: () => Promise<T>): Promise<T> {
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, PAUSE_MAX_MS)) {
    try {
      return await call();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    await delay(pauseMs);
  }
}
