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

export class Lane<T, R> {
  readonly #send: (items: T[]) => Promise<R[]>;
  readonly #maxItems: number;
  readonly #defer: (run: () => void) => void;
  readonly #failsAll: () => boolean;
  #gathered: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[] = [];
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
    return this.#gathered.length;
  }

  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ item, resolve, reject });
      if (this.#gathered.length >= this.#maxItems) this.#pump();
      else if (this.#underWay === 0 && !this.#scheduled) {
        this.#scheduled = true;
        this.#defer(() => {
          this.#scheduled = false;
          this.#pump();
        });
      }
    });
  }

  #pump(): void {
    const mayGo = () => this.#underWay === 0 || this.#gathered.length >= this.#maxItems;
    while (this.#gathered.length > 0 && this.#underWay < UNDER_WAY_MAX && mayGo()) {
      this.#underWay += 1;
      void this.#run(this.#gathered.splice(0, this.#maxItems));
    }
  }

  async #run(batch: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[]): Promise<void> {
    try {
      const results = await this.#send(batch.map(({ item }) => item));
      for (const [at, { resolve }] of batch.entries()) resolve(results[at] as R);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      if (this.#failsAll()) for (const { reject } of this.#gathered.splice(0)) reject(error);
    } finally {
      this.#underWay -= 1;
      this.#pump();
    }
  }
}
