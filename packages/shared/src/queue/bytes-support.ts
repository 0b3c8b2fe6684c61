/**
 * Whether every process reads tasks as bytes. Each process subscribes to a channel of the registry, and a process that reads tasks as
 * bytes also subscribes to a second channel, in the same command. While the two channels have different numbers of subscribers, a
 * process of an older version runs, and tasks are written as text.
 *
 * An older worker that starts between a look and a submission can take a task as bytes. The worker discards the live state: the API of
 * a waiting caller then submits the prediction again, and the reconciler restores a promise.
 */
import { Cluster, type Redis } from 'ioredis';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

const LOOK_MS = 1_000;

export class BytesSupport {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #timer: NodeJS.Timeout;
  #isSupported = false;

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    void this.look();
  }

  get isSupported(): boolean {
    return this.#isSupported;
  }

  /** Counts the subscribers now. Without a reply of Redis, tasks are written as text. */
  async look(): Promise<void> {
    try {
      // Each node of a cluster counts only its own subscribers.
      const nodes: readonly Redis[] = this.#redis instanceof Cluster ? this.#redis.nodes('all') : [this.#redis];
      const counts = await Promise.all(nodes.map((node) => this.#count(node)));
      const all = counts.reduce((sum, { all: some }) => sum + some, 0);
      const reading = counts.reduce((sum, { reading: some }) => sum + some, 0);
      this.#isSupported = all > 0 && all === reading;
    } catch {
      this.#isSupported = false;
    }
  }

  async #count(node: Redis): Promise<{ all: number; reading: number }> {
    const reply = await node.pubsub('NUMSUB', this.#keys.registryChannel(), this.#keys.bytesChannel());
    return { all: Number(reply[1]), reading: Number(reply[3]) };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
