/** Logs the errors of rows with their stacks, so that the owner of a handler finds the line. */
import type { Logger } from 'pino';
import type { EngineError } from './engine-error.ts';
import type { LoadedVersion } from './protocol/loaded-version.ts';

/** At most one line for each version in this time: each row of a large prediction can fail. */
const EVERY_MS = 1_000;

export class RowFailures {
  readonly #log: Logger;
  /** The time of the last line, and the failures since that line, by the key of the version. */
  readonly #logged = new Map<string, { at: number; omitted: number }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  log({ key, model, version }: LoadedVersion, error: EngineError): void {
    const now = performance.now();
    const last = this.#logged.get(key);
    if (last !== undefined && now - last.at < EVERY_MS) {
      last.omitted += 1;
      return;
    }
    this.#logged.set(key, { at: now, omitted: 0 });
    this.#log.warn(
      { model, version, ...error.fault, err: error.cause ?? error, omitted: last?.omitted ?? 0 },
      'a row failed',
    );
  }

  forget(key: string): void {
    this.#logged.delete(key);
  }
}
