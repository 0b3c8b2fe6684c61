/**
 * All connections of this process to one Redis. A server that is demoted to a replica keeps its connections open and serves
 * reads, PING and subscriptions as before. Only a refused write shows that a connection leads to the wrong server. A connection
 * that receives such a refusal reconnects. The other connections, which only read or listen, are replaced when the write probe
 * has found the new primary.
 */
import type { Redis, RedisOptions } from 'ioredis';
import { codeOf, isWrongServer } from './redis-fault.ts';

/** An error reply in the form that ioredis passes to `reconnectOnError`. */
type ErrorReply = Error & { command?: { name?: string } };

export class ConnectionGroup {
  /** For each connection, the time of its last connect (performance.now()); Infinity before the first connect. */
  readonly #connectedAt = new Map<Redis, number>();
  readonly #onRefused: (error: Error, command: string | undefined) => void;

  /** Calls `onRefused` for each reply which shows that the server is not the primary or that the user lacks a permission. */
  constructor(onRefused: (error: Error, command: string | undefined) => void) {
    this.#onRefused = onRefused;
  }

  get size(): number {
    return this.#connectedAt.size;
  }

  /** Opens a connection and adds the connection to the group, with each copy that `duplicate` makes (BullMQ makes copies). */
  open(create: (options: Pick<RedisOptions, 'reconnectOnError'>) => Redis): Redis {
    // A demoted server refuses every command in flight. Only the first refusal ends the connection, because ioredis adds a listener
    // for each.
    let dropping = false;
    const reconnectOnError = (error: ErrorReply): boolean => {
      if (dropping) return false;
      dropping = this.#refused(error);
      return dropping;
    };
    const redis = create({ reconnectOnError });
    this.#connectedAt.set(redis, Number.POSITIVE_INFINITY);
    redis.on('connect', () => {
      dropping = false;
      this.#connectedAt.set(redis, performance.now());
    });
    redis.once('end', () => this.#connectedAt.delete(redis));
    const duplicate = redis.duplicate.bind(redis);
    redis.duplicate = (override) => this.open((own) => duplicate({ ...override, ...own }));
    return redis;
  }

  /** Reports a refusal. Returns whether the connection must be replaced. */
  #refused(error: ErrorReply): boolean {
    const wrong = isWrongServer(error);
    if (wrong || codeOf(error) === 'NOPERM') this.#onRefused(error, error.command?.name);
    return wrong;
  }

  /** Reconnects every connection that was connected before `time` (performance.now()). Returns the number of connections. */
  replaceOlderThan(time: number): number {
    let count = 0;
    for (const [redis, connectedAt] of this.#connectedAt) {
      // A connection that is not established looks up the server again without help.
      if (connectedAt >= time || (redis.status !== 'ready' && redis.status !== 'connect')) continue;
      count += 1;
      redis.disconnect(true);
    }
    return count;
  }
}
