/**
 * Renews the locks of jobs that this worker holds for long. BullMQ renews locks as well, but a Redis without memory refuses its
 * command. Another worker would then take the job and compute the result again that this worker waits to write.
 */
import type { Connection } from '@millrace/shared/redis/connection';

// KEYS: a job's lock. ARGV: the token of its holder, ms. The script adds no data, so it can run while Redis is full.
const KEEP = `#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`;

export class JobLocks {
  readonly #connection: Connection;
  readonly #lockMs: number;
  readonly #held = new Map<string, { token: string; at: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(connection: Connection, lockMs: number) {
    this.#connection = connection;
    this.#lockMs = lockMs;
    this.#timer = setInterval(() => this.#renew(), lockMs / 3);
    this.#timer.unref();
  }

  /** Renews `lock`, the key of a job's lock, from now on. */
  hold(lock: string, token: string): void {
    this.#held.set(lock, { token, at: performance.now() });
  }

  /** Stops renewing the lock, unless this worker has taken the job again under another token. */
  release(lock: string, token: string): void {
    if (this.#held.get(lock)?.token === token) this.#held.delete(lock);
  }

  #renew(): void {
    const before = performance.now() - this.#lockMs / 3;
    for (const [lock, { token, at }] of this.#held)
      if (at <= before) this.#connection.eval(KEEP, 1, lock, token, this.#lockMs).catch(() => {});
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
