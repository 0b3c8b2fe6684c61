/**
 * All connections of this process to one Redis. A server that is demoted to a replica keeps its connections open and
 * answers reads, PING and subscriptions as before, so nothing but a refused write shows that a connection leads to the
 * wrong server. A connection that gets such a refusal reconnects by itself; the others, which only read or listen, are
 * replaced when the write probe has found the new primary.
 */
import type { Redis, RedisOptions } from 'ioredis';
import { codeOf, isWrongServer } from './redis-fault.ts';

/** An error reply, as ioredis hands it to `reconnectOnError`. */
type ErrorReply = Error & { command?: { name?: string } };

export class ConnectionGroup {
  /** For each connection when its socket was connected last (performance.now()); Infinity while it never was. */
  readonly #connectedAt = new Map<Redis, number>();
  readonly #onRefused: (error: Error, command: string | undefined) => void;

  /** `onRefused` is called for each reply that says that the server is the wrong one, or that the user may not do this. */
  constructor(onRefused: (error: Error, command: string | undefined) => void) {
    this.#onRefused = onRefused;
  }

  get size(): number {
    return this.#connectedAt.size;
  }

  /** Opens a connection and follows it, and every connection that is made from it by `duplicate`, as BullMQ does. */
  open(create: (options: Pick<RedisOptions, 'reconnectOnError'>) => Redis): Redis {
    // A demoted server refuses every command in flight. One of them ends the connection; ioredis adds a listener each time.
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

  /** Told of an error reply. Returns whether its connection is to be replaced. */
  #refused(error: ErrorReply): boolean {
    const wrong = isWrongServer(error);
    if (wrong || codeOf(error) === 'NOPERM') this.#onRefused(error, error.command?.name);
    return wrong;
  }

  /** Reconnects every connection that was connected before `time` (performance.now()). Returns how many. */
  replaceOlderThan(time: number): number {
    let count = 0;
    for (const [redis, connectedAt] of this.#connectedAt) {
      // A connection that is not established looks for the server anew anyway.
      if (connectedAt >= time || (redis.status !== 'ready' && redis.status !== 'connect')) continue;
      count += 1;
      redis.disconnect(true);
    }
    return count;
  }
}
