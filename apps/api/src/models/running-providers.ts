/** The execution providers of onnxruntime that run each version now, by the list of workers. */
import { type ListedWorker, REPORT_EVERY_MS, STALE_MS } from '@millrace/shared/queue/worker-list';

/** The providers of a version, sorted. Empty while no worker runs the version. */
export type ProvidersOf = (version: { model: string; version: string }) => readonly string[];

type Read = () => Promise<readonly ListedWorker[]>;

/** A worker of an earlier release does not report the providers of its versions. */
const BEFORE_PROVIDERS = ['cpu'];
const NONE: readonly string[] = [];

const nameOf = (model: string, version: string) => `${model}\n${version}`;

export class RunningProviders {
  readonly #read: Read;
  #byName = new Map<string, Set<string>>();
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  /** `read` returns the workers in the list. */
  constructor(read: Read) {
    this.#read = read;
  }

  /** Reads the list at most once in the interval of its entries. While Redis cannot be read, the last list is valid. */
  async current(): Promise<ProvidersOf> {
    if (performance.now() - this.#readAtMs >= REPORT_EVERY_MS) {
      this.#reading ??= this.#update().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
    return ({ model, version }) => [...(this.#byName.get(nameOf(model, version)) ?? NONE)].sort();
  }

  async #update(): Promise<void> {
    this.#readAtMs = performance.now();
    try {
      const byName = new Map<string, Set<string>>();
      for (const { models, ageMs } of await this.#read()) {
        if (ageMs > STALE_MS) continue;
        for (const { name, version, providers } of models) {
          const known = byName.get(nameOf(name, version)) ?? new Set();
          for (const provider of Array.isArray(providers) ? providers : BEFORE_PROVIDERS) known.add(String(provider));
          byName.set(nameOf(name, version), known);
        }
      }
      this.#byName = byName;
    } catch {
      // The list is only shown. The next request after the interval reads again.
    }
  }
}
