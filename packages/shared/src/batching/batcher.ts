/**
 * A lane turns single items into batches without a timer. While a batch is under way newcomers gather, and go together
 * when it returns or when they fill a batch; an idle lane sends with the turn of the event loop, so that a lone item
 * waits for nobody and items of one turn go together.
 */

/**
 * Full batches under way at once: enough to keep Redis busy, and few enough that each is answered long before its
 * time-out. Forty at once, of 10,000 callers, had some time out behind the others.
 */
const UNDER_WAY_MAX = 4;

/** Learns what became of an item: one of the two is called, once. Neither may throw. */
export interface Sender<R> {
  sent(result: R): void;
  failed(error: unknown): void;
}

export class Lane<T, R> {
  readonly #send: (items: T[]) => Promise<R[]>;
  readonly #maxItems: number;
  readonly #defer: (run: () => void) => void;
  readonly #failsAll: () => boolean;
  /** Those who gathered: the items, and in the same order who brought them. */
  #items: T[] = [];
  #senders: Sender<R>[] = [];
  #underWay = 0;
  #scheduled = false;

  /**
   * `send` gets 1 to `maxItems` items in the order they came and resolves to a result for each; when it rejects, just
   * the items of that batch fail. `defer` runs a function at the end of this turn of the event loop. With
   * `failsAll` saying so those who gathered behind a failing batch fail with it: they would find out by a time-out of their own.
   */
  constructor(
    send: (items: T[]) => Promise<R[]>,
    maxItems: number,
    defer: (run: () => void) => void = (run) => void setImmediate(run),
    failsAll = () => false,
  ) {
    this.#send = send;
    this.#maxItems = maxItems;
    this.#defer = defer;
    this.#failsAll = failsAll;
  }

  /** How many items wait for their batch to go. */
  get gathered(): number {
    return this.#items.length;
  }

  add(item: T): Promise<R> {
    return new Promise((sent, failed) => this.put(item, { sent, failed }));
  }

  /** As `add`, for the fast path: without a promise. */
  put(item: T, sender: Sender<R>): void {
    this.#items.push(item);
    this.#senders.push(sender);
    if (this.#items.length >= this.#maxItems) this.#pump();
    else if (this.#underWay === 0 && !this.#scheduled) {
      this.#scheduled = true;
      this.#defer(() => {
        this.#scheduled = false;
        this.#pump();
      });
    }
  }

  #pump(): void {
    const mayGo = () => this.#underWay === 0 || this.#items.length >= this.#maxItems;
    while (this.#items.length > 0 && this.#underWay < UNDER_WAY_MAX && mayGo()) {
      this.#underWay += 1;
      void this.#run(this.#items.splice(0, this.#maxItems), this.#senders.splice(0, this.#maxItems));
    }
  }

  async #run(items: T[], senders: Sender<R>[]): Promise<void> {
    try {
      const results = await this.#send(items);
      for (let at = 0; at < senders.length; at += 1) (senders[at] as Sender<R>).sent(results[at] as R);
    } catch (error) {
      const behind = this.#failsAll() ? this.#senders : [];
      if (behind.length > 0) [this.#items, this.#senders] = [[], []];
      for (const sender of senders) sender.failed(error);
      for (const sender of behind) sender.failed(error);
    } finally {
      this.#underWay -= 1;
      this.#pump();
    }
  }
}
