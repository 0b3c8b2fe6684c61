/**
 * Notices a Redis that holds its connections and answers nothing (stopped, or starved), which a socket does not show:
 * requests are then refused at once instead of each waiting for its own time-out.
 */
import { type Connection, isCluster } from '@millrace/shared/redis/connection';

const TICK_MS = 50;
/** Ticks that a PING may stay unanswered. Ticks and not time: when this process itself was held up, they did not pass. */
const TICKS_MAX = 8;

export class RedisWatch {
  readonly #redis: Pick<Connection, 'ping' | 'status'>;
  readonly #timer: NodeJS.Timeout;
  #unanswered = 0;
  #asked = false;

  constructor(redis: Pick<Connection, 'ping' | 'status'>) {
    this.#redis = redis;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Whether Redis was there a moment ago. */
  get ready(): boolean {
    return this.#redis.status === 'ready' && this.#unanswered < TICKS_MAX;
  }

  #tick(): void {
    // A PING goes to any node of a cluster, and says nothing of the one that a request will need.
    if (isCluster(this.#redis)) return;
    if (this.#asked) {
      this.#unanswered += 1;
      return;
    }
    this.#asked = true;
    this.#redis.ping().then(
      () => {
        this.#asked = false;
        this.#unanswered = 0;
      },
      // A PING that timed out says nothing new: the count stays until one is answered.
      () => {
        this.#asked = false;
      },
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
