import { setTimeout as delay } from 'node:timers/promises';
import { isWrongServer } from './redis-fault.ts';

const PAUSE_MS = 100;

/**
 * Repeats a call while the server refuses it as a replica. Nothing was written then, and the connection is being replaced.
 * For a worker, whose results would otherwise be computed again: it waits for Redis, however long a failover takes.
 */
export async function untilWritable<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isWrongServer(error)) throw error;
    }
    await delay(PAUSE_MS);
  }
}
