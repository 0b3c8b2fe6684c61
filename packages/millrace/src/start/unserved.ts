/** Collects the models that the worker cannot serve, for the messages of `npm start`. */
import type { LogRecord } from './log-lines.ts';

const WARNING = 40;

/**
 * Collects the versions of the folder that the worker does not serve, each with the reason. The reasons come from the worker's
 * log of this start, because the registry may still have the reason of an earlier start.
 */
export class Unserved {
  readonly #names: readonly string[];
  readonly #reasons = new Map<string, string>();
  readonly #all = Promise.withResolvers<void>();

  /** `names` are the versions of the folder, each as `model/version`. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Resolves when every version has a reason. */
  get all(): Promise<void> {
    return this.#all.promise;
  }

  read(record: LogRecord): void {
    const { model, version, path } = record;
    // For a folder with an invalid name the worker logs the path instead of model and version.
    const name = this.#names.find((known) => known === path || known === `${model}/${version}`);
    if (name === undefined) return;
    if (record.level < WARNING) this.#reasons.delete(name);
    else this.#reasons.set(name, String(record.reason ?? record.msg));
    if (this.#reasons.size === this.#names.length) this.#all.resolve();
  }

  /** Whether every version of the model has failed. */
  includes(model: string): boolean {
    const versions = this.#names.filter((name) => name.startsWith(`${model}/`));
    return versions.every((name) => this.#reasons.has(name));
  }

  /** Returns an indented line for each version. */
  lines(): string[] {
    return [...this.#reasons].map(([name, reason]) => `  ${name}: ${reason}`);
  }
}
