/** Says once that something one can do without is away, and not at each of a thousand attempts. */
import type { Logger } from 'pino';

export class Outage {
  readonly #log: Logger;
  readonly #text: string;
  #told = false;

  constructor(log: Logger, text: string) {
    this.#log = log;
    this.#text = text;
  }

  tell(error: unknown): void {
    if (this.#told) this.#log.debug({ err: error }, this.#text);
    else this.#log.warn({ err: error }, this.#text);
    this.#told = true;
  }

  /** It is back: its next absence is news. */
  over(): void {
    this.#told = false;
  }
}
