/** Three pools of attempt slots. Each pool has the same number of slots and a queue of lanes that wait for a slot. */
import type { PoolName } from './lane-health.ts';

export class SlotPools<L> {
  readonly #slots: number;
  readonly #used: Record<PoolName, number> = { prompt: 0, suspect: 0, stuck: 0 };
  readonly #waiting: Record<PoolName, L[]> = { prompt: [], suspect: [], stuck: [] };

  /** `slots`: the number of slots of each pool. */
  constructor(slots: number) {
    this.#slots = slots;
  }

  isFull(pool: PoolName): boolean {
    return this.#used[pool] >= this.#slots;
  }

  /** Whether lanes wait for a slot of this pool. */
  hasQueue(pool: PoolName): boolean {
    return this.#waiting[pool].length > 0;
  }

  enqueue(pool: PoolName, lane: L): void {
    this.#waiting[pool].push(lane);
  }

  /** Removes the first waiting lane when the pool has a free slot. The caller takes the slot. */
  dequeue(pool: PoolName): L | undefined {
    return this.isFull(pool) ? undefined : this.#waiting[pool].shift();
  }

  /** Uses a slot. The caller checks `isFull` first. */
  take(pool: PoolName): void {
    this.#used[pool]++;
  }

  release(pool: PoolName): void {
    this.#used[pool]--;
  }

  /** Moves an attempt to another pool. The other pool may exceed its slots: an attempt in progress cannot be stopped. */
  move(from: PoolName, to: PoolName): void {
    this.#used[from]--;
    this.#used[to]++;
  }
}
