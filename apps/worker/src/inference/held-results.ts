/**
 * Bounds the bytes of results that this worker has computed and not written yet. Results wait here while Redis refuses writes. Without
 * a bound in bytes, a few runs with large outputs would use the memory of the machine.
 */
export class HeldResults {
  readonly #limitBytes: number;
  readonly #onFull: (full: boolean) => void;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** `onFull` is called when the results reach the limit, and when they fall below the limit again. */
  constructor(limitBytes: number, onFull: (full: boolean) => void) {
    this.#limitBytes = limitBytes;
    this.#onFull = onFull;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#bytes >= this.#limitBytes;
  }

  /** Returns undefined when a run can begin now, else a promise that resolves when a run can begin. */
  room(): Promise<void> | undefined {
    return this.full ? this.#wait() : undefined;
  }

  async #wait(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Counts `bytes` as held until `write` has ended. */
  async during<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    this.#change(bytes);
    try {
      return await write();
    } finally {
      this.#change(-bytes);
    }
  }

  #change(bytes: number): void {
    const before = this.full;
    this.#bytes += bytes;
    if (this.full === before) return;
    this.#onFull(this.full);
    if (!this.full) for (const wake of this.#waiting.splice(0)) wake();
  }
}
