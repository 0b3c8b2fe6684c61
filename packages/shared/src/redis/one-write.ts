/**
 * Writes the commands of one turn of the event loop with one call of the system. Redis then reads them together, writes one
 * record to its append-only file, and wakes this process once for all replies.
 */
import { type Connection, isCluster } from './connection.ts';

/** Collects the commands that this turn writes to the connection. A cluster has a socket for each node: nothing is collected. */
export function writeOnce(redis: Connection): void {
  if (isCluster(redis)) return;
  // A connection that is being opened has no socket yet.
  const socket = redis.stream as typeof redis.stream | undefined;
  if (socket === undefined) return;
  socket.cork();
  // A tick that a microtask requests runs after all microtasks.
  queueMicrotask(() => process.nextTick(() => socket.uncork()));
}
