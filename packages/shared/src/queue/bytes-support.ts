/**
 * Whether every process reads tasks as bytes, and whether every worker reads the slots of this machine, and the slots of the cache Redis.
 * Each process subscribes to a channel of the registry. A process that reads tasks as bytes also subscribes to a second channel, in the
 * same command. While the two channels have different numbers of subscribers, a process of an older version runs, and tasks are written
 * as text. In the same way a worker subscribes to the channel of its machine and to the channel of the slots of the cache Redis, beside
 * the channel of all workers.
 *
 * An older worker that starts between a look and a submission can take a task as bytes. A worker of 0.1.0 counts an attempt and returns the
 * job for a second, and a newer worker takes the job.
 */
import { Cluster, type Redis } from 'ioredis';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

const LOOK_MS = 1_000;

/** The number of subscribers of each channel. */
export async function subscribersOf(redis: Connection, channels: readonly string[]): Promise<number[]> {
  // Each node of a cluster counts only its own subscribers.
  const nodes: readonly Redis[] = redis instanceof Cluster ? redis.nodes('all') : [redis];
  const replies = await Promise.all(nodes.map((node) => node.pubsub('NUMSUB', ...channels)));
  // A reply has the name and the number of each channel.
  return channels.map((_, at) => replies.reduce((sum, reply) => sum + Number(reply[2 * at + 1] ?? 0), 0));
}

/** Whether a process that does not read tasks as bytes runs now. Rejects where the user of Redis may not count subscribers. */
export async function anOlderProcessRuns(redis: Connection, keys: Keys): Promise<boolean> {
  const [all = 0, bytes = 0] = await subscribersOf(redis, [keys.registryChannel(), keys.bytesChannel()]);
  return all > bytes;
}

export class BytesSupport {
  readonly #redis: Connection;
  readonly #timer: NodeJS.Timeout;
  readonly #channels: readonly string[];
  #isSupported = false;
  #readsSlots = false;
  #readsCacheSlots = false;

  /** `machine`: see machineName. Undefined for a process that writes no files of shared memory. */
  constructor(redis: Connection, keys: Keys, machine: string | undefined) {
    this.#redis = redis;
    this.#channels = [keys.registryChannel(), keys.bytesChannel(), keys.liftChannel(), keys.cacheSlotsChannel()];
    if (machine !== undefined) this.#channels = [...this.#channels, keys.machineChannel(machine)];
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    void this.look();
  }

  get isSupported(): boolean {
    return this.#isSupported;
  }

  /** Whether there are workers, and all of them read the slots of this machine. */
  get readsSlots(): boolean {
    return this.#isSupported && this.#readsSlots;
  }

  /** Whether there are workers, and all of them read slots of the cache Redis. */
  get readsCacheSlots(): boolean {
    return this.#isSupported && this.#readsCacheSlots;
  }

  /** Counts the subscribers now. Without a reply of Redis, tasks are written as text. */
  async look(): Promise<void> {
    try {
      const [all = 0, bytes, workers = 0, withCache, onMachine] = await subscribersOf(this.#redis, this.#channels);
      this.#isSupported = all > 0 && all === bytes;
      this.#readsCacheSlots = workers > 0 && workers === withCache;
      this.#readsSlots = workers > 0 && workers === onMachine;
    } catch {
      this.#isSupported = false;
      this.#readsSlots = false;
      this.#readsCacheSlots = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
