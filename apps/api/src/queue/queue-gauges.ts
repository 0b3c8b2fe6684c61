/** What an operator sees of the queues: how many predictions wait for each model, and since when. */
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Priority } from '@millrace/shared/predictions/prediction';
import { waitingOf } from './admission.ts';

/** A scrape must succeed while a store stalls, because the metrics then matter most. */
const LIMIT_MS = 50;

export interface QueueState {
  /** Predictions that wait, also predictions that a worker holds and has not started. */
  waiting: number;
  /** Seconds since the oldest waiting job of each priority entered the queue. A priority without a waiting job is absent. */
  oldestS: ReadonlyMap<Priority, number>;
}

export interface QueueGaugeDeps {
  live: Pick<LiveStore, 'counts'>;
  oldest(model: string): Promise<ReadonlyMap<Priority, number>>;
  /** The names of the models of the default tenant. */
  models(): Promise<readonly string[]>;
}

export class QueueGauges {
  readonly #deps: QueueGaugeDeps;
  /** The models of the last look-up: the registry may stall while the queue Redis replies. */
  #models: readonly string[] = [];

  constructor(deps: QueueGaugeDeps) {
    this.#deps = deps;
  }

  /** The state of each queue. A model whose queue is not read in time is absent. */
  async read(): Promise<ReadonlyMap<string, QueueState>> {
    const states = new Map<string, QueueState>();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LIMIT_MS);
    const looking = this.#deps
      .models()
      .catch(() => this.#models)
      .then((models) => {
        const added = models.filter((model) => !this.#models.includes(model));
        this.#models = models;
        return this.#readInto(states, added);
      });
    await Promise.race([Promise.all([looking, this.#readInto(states, this.#models)]), late]);
    clearTimeout(timer);
    // A late reply must not change a map that is being written out.
    return new Map([...states].filter(([model]) => this.#models.includes(model)));
  }

  async #readInto(states: Map<string, QueueState>, models: readonly string[]): Promise<void> {
    const { live, oldest } = this.#deps;
    const read = async (model: string): Promise<void> => {
      const waiting = waitingOf(await live.counts(model));
      const since = waiting > 0 ? await oldest(model) : new Map<Priority, number>();
      const nowMs = sharedNow();
      const ages = [...since].map(([priority, ms]) => [priority, Math.max(0, nowMs - ms) / 1_000] as const);
      states.set(model, { waiting, oldestS: new Map(ages) });
    };
    await Promise.all(models.map((model) => read(model).catch(() => {})));
  }
}
