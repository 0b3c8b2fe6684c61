/**
 * Compares the completion times in 202 responses with the times at which the predictions ended. A sample is enough: a few
 * predictions of each model and priority are followed at once, by reading their live states, which keep the time of the end
 * for minutes. The measured runs also feed the next estimates.
 */
import type { LivePrediction } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { isTerminal, type Priority, type QueueEstimate } from '@millrace/shared/predictions/prediction';
import { Histogram, type Registry } from 'prom-client';

/** The most predictions that are followed at once. */
const FOLLOWED_MAX = 128;
/** The most predictions of one model and priority that are followed at once. */
const ALIKE_MAX = 4;
const ROUND_MS = 500;
/** A late prediction is read again after this part of its delay. */
const AGAIN_PART = 0.1;

export interface Promised {
  id: string;
  model: string;
  priority: Priority;
  queue: QueueEstimate;
}

interface Followed extends Promised {
  kind: string;
  dueAt: number;
}

export interface EstimateWatchDeps {
  read(id: string): Promise<LivePrediction | null>;
  /** Receives the milliseconds from the take of a prediction to its end. */
  onRun(model: string, ms: number): void;
  registry: Registry;
}

export class EstimateWatch {
  readonly #deps: EstimateWatchDeps;
  readonly #errors: Histogram;
  readonly #followed = new Map<string, Followed>();
  readonly #alike = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: EstimateWatchDeps) {
    this.#deps = deps;
    this.#errors = new Histogram({
      name: 'millrace_estimate_error_seconds',
      help: 'Actual completion of a sampled prediction minus the completion that its 202 estimated.',
      labelNames: ['priority'],
      buckets: [-300, -60, -10, -5, -2, -1, -0.5, -0.1, 0, 0.1, 0.5, 1, 2, 5, 10, 60, 300],
      registers: [deps.registry],
    });
  }

  /** Follows the prediction if few predictions of its model and priority are followed. Costs two look-ups. */
  promised(one: Promised): void {
    if (this.#closed || this.#followed.size >= FOLLOWED_MAX) return;
    const kind = `${one.priority} ${one.model}`;
    const alike = this.#alike.get(kind) ?? 0;
    if (alike >= ALIKE_MAX) return;
    this.#alike.set(kind, alike + 1);
    this.#followed.set(one.id, { ...one, kind, dueAt: one.queue.estimatedCompletionAt });
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed || this.#followed.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.round().finally(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, ROUND_MS).unref();
  }

  /** Reads the predictions that are due. Never rejects. */
  async round(): Promise<void> {
    const now = sharedNow();
    const due = [...this.#followed.values()].filter(({ dueAt }) => dueAt <= now);
    await Promise.all(
      due.map(async (one) => {
        const state = await this.#deps.read(one.id).catch(() => undefined);
        if (state === undefined) return;
        const late = now - one.queue.estimatedCompletionAt;
        if (state === null) this.#forget(one);
        else if (isTerminal(state.status)) this.#ended(one, state);
        else one.dueAt = now + late * AGAIN_PART;
      }),
    );
  }

  #ended(one: Followed, { status, startedAt, completedAt }: LivePrediction): void {
    this.#forget(one);
    // After a cancellation the estimate has no end to compare with.
    if (status === 'canceled' || completedAt === null) return;
    this.#errors.observe({ priority: one.priority }, (completedAt - one.queue.estimatedCompletionAt) / 1_000);
    if (startedAt !== null) this.#deps.onRun(one.model, completedAt - startedAt);
  }

  #forget({ id, kind }: Followed): void {
    if (!this.#followed.delete(id)) return;
    const alike = (this.#alike.get(kind) ?? 1) - 1;
    if (alike > 0) this.#alike.set(kind, alike);
    else this.#alike.delete(kind);
  }
}
