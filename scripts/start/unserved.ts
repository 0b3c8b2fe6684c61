import type { LogRecord } from './log-lines.ts';

const WARNING = 40;

/**
 * Versions in the folder that the worker does not serve, and why: by its log, which speaks of this start. The registry may
 * still say what an earlier one found.
 */
export class Unserved {
  readonly #names: readonly string[];
  readonly #reasons = new Map<string, string>();
  readonly #all = Promise.withResolvers<void>();

  /** `names` are the versions of the folder, as `model/version`. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Resolves when there is a reason for every version. */
  get all(): Promise<void> {
    return this.#all.promise;
  }

  read(record: LogRecord): void {
    const { model, version, path } = record;
    // A path is what the worker says of a folder whose name cannot be one.
    const name = this.#names.find((known) => known === path || known === `${model}/${version}`);
    if (name === undefined) return;
    if (record.level < WARNING) this.#reasons.delete(name);
    else this.#reasons.set(name, String(record.reason ?? record.msg));
    if (this.#reasons.size === this.#names.length) this.#all.resolve();
  }

  /** Whether no version of the model can be served. */
  includes(model: string): boolean {
    const versions = this.#names.filter((name) => name.startsWith(`${model}/`));
    return versions.every((name) => this.#reasons.has(name));
  }

  /** A line for each version, indented. */
  lines(): string[] {
    return [...this.#reasons].map(([name, reason]) => `  ${name}: ${reason}`);
  }
}
