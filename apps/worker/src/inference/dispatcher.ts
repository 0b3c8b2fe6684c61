/**
 * Merges what the worker holds of each model version into engine batches. While the engines run, newcomers gather; when
 * one comes free, all that has gathered goes together. Versions take turns, so that a busy one starves nobody.
 */

export interface Batch<T> {
  items: T[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Gathering<T> {
  batches: Batch<T>[];
  maxItems: number;
  run: (items: T[]) => Promise<void>;
}

/** The worker stops: what had not begun goes back to the queue at once, for others. */
export class HandedBack extends Error {
  override name = 'HandedBack';
}

export class Dispatcher<T> {
  readonly #inFlightMax: () => number;
  readonly #gathering = new Map<string, Gathering<T>>();
  #inFlight = 0;
  #closed = false;

  /** `inFlightMax` batches are under way at once: one for each engine, and one more that is made ready meanwhile. */
  constructor(inFlightMax: () => number) {
    this.#inFlightMax = inFlightMax;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    let count = 0;
    for (const { batches } of this.#gathering.values()) for (const { items } of batches) count += items.length;
    return count;
  }

  /**
   * Resolves when all items were run, rejects when the run they were part of did. `run` gets items of several callers
   * together, at most `maxItems` unless one caller brings more.
   */
  add(key: string, items: T[], maxItems: number, run: (items: T[]) => Promise<void>): Promise<void> {
    if (this.#closed) return Promise.reject(new HandedBack('the worker stops'));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const batch = { items, resolve, reject };
    const gathering = this.#gathering.get(key);
    if (gathering) gathering.batches.push(batch);
    else this.#gathering.set(key, { batches: [batch], maxItems, run });
    this.#pump();
    return promise;
  }

  /** Begins nothing more: what waits, and what still comes, is rejected with HandedBack. What runs goes on. */
  handBack(): void {
    this.#closed = true;
    const batches = [...this.#gathering.values()].flatMap((gathering) => gathering.batches);
    this.#gathering.clear();
    for (const { reject } of batches) reject(new HandedBack('the worker stops'));
  }

  #pump(): void {
    while (this.#inFlight < this.#inFlightMax()) {
      const next = this.#gathering.entries().next();
      if (next.done) return;
      const [key, gathering] = next.value;
      const taken = this.#take(gathering);
      // To the back of the queue, or out of it.
      this.#gathering.delete(key);
      if (gathering.batches.length > 0) this.#gathering.set(key, gathering);
      this.#inFlight += 1;
      void this.#run(gathering.run, taken);
    }
  }

  #take(gathering: Gathering<T>): Batch<T>[] {
    let count = 0;
    let callers = 0;
    for (const { items } of gathering.batches) {
      if (callers > 0 && count + items.length > gathering.maxItems) break;
      count += items.length;
      callers += 1;
    }
    return gathering.batches.splice(0, callers);
  }

  async #run(run: (items: T[]) => Promise<void>, batches: Batch<T>[]): Promise<void> {
    try {
      await run(batches.flatMap(({ items }) => items));
      for (const { resolve } of batches) resolve();
    } catch (error) {
      for (const { reject } of batches) reject(error);
    } finally {
      this.#inFlight -= 1;
      this.#pump();
    }
  }
}
