import { setTimeout as delay } from 'node:timers/promises';
import { isRefusal } from './redis-fault.ts';

/** Pauses between tries: a failover is over soon, a full memory or a full disk is not. */
const PAUSE_MS = 100;
const PAUSE_MAX_MS = 2_000;

/**
 * Repeats a call while the server refuses it: as a replica, for want of memory (OOM) or of disk (MISCONF), or for a right
 * that its user lacks. Nothing was written then. For a worker, whose results would otherwise be computed again and whose
 * predictions would run out of attempts: it waits for Redis, however long that takes.
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
