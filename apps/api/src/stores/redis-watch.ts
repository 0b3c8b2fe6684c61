/**
 * Detects a Redis that keeps its connections open but does not respond, because the process is stopped or starved. The sockets
 * look healthy then. With the watch, requests are refused at once instead of after a timeout each.
 */
import { isCluster } from '@millrace/shared/redis/connection';

const TICK_MS = 50;
/** The least ticks that a PING may take. */
const TICKS_LEAST = 8;
/** The part of the time limit of commands that a PING may take. */
const PING_SHARE = 4 / 7;

/** The part of a connection that the watch uses. */
export interface WatchedRedis {
  readonly status: string;
  ping(): Promise<unknown>;
}

export class RedisWatch {
  readonly #redis: WatchedRedis;
  readonly #timer: NodeJS.Timeout;
  /** The ticks that a PING may take. Counted in ticks, not in time: no ticks pass while the event loop is blocked. */
  readonly #ticksMax: number;
  #missedTicks = 0;
  #pinging = false;

  /**
   * `commandTimeoutMs`: the time limit of commands. The time limit of a PING grows with this limit, because a Redis that waits for its
   * disk must not count as absent before its commands are late.
   */
  constructor(redis: WatchedRedis, commandTimeoutMs: number) {
    this.#redis = redis;
    this.#ticksMax = Math.max(TICKS_LEAST, Math.round((commandTimeoutMs * PING_SHARE) / TICK_MS));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Whether Redis is connected and responded to a recent PING. */
  get ready(): boolean {
    return this.#redis.status === 'ready' && this.#missedTicks < this.#ticksMax;
  }

  #tick(): void {
    // In a cluster, a PING reaches any node, and shows nothing about the node of the next request.
    if (isCluster(this.#redis)) return;
    if (this.#pinging) {
      this.#missedTicks += 1;
      return;
    }
    this.#pinging = true;
    this.#redis.ping().then(
      () => {
        this.#pinging = false;
        this.#missedTicks = 0;
      },
      // A timeout of the PING adds no information. The count stays until a PING succeeds.
      () => {
        this.#pinging = false;
      },
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
