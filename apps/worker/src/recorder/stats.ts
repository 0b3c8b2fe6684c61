/** The history of predictions: counts the ends that this recorder writes, notes the queues, and discards old counts. */
import { markTerminal, type TasklessRow, type TerminalRow } from '@millrace/shared/ledger/ledger';
import type { Outcome } from '@millrace/shared/ledger/record-terminal';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import { type QueueState, queueStates, sumOfQueues } from '@millrace/shared/queue/queue-state';
import { queueNames } from '@millrace/shared/registry/registry';
import { addDays, dropOldDays } from '@millrace/shared/stats/prediction-days';
import { ALL, type StatsCounts } from '@millrace/shared/stats/stats-counts';
import { dropOldStats } from '@millrace/shared/stats/stats-table';
import { StatsWriter } from '@millrace/shared/stats/stats-writer';
import type { WorkerContext } from '../operations/worker-context.ts';

const KEEP_EVERY_MS = 3_600_000;
/** After a start the worker first runs the predictions that wait. */
const FIRST_MS = 30_000;

export interface RecorderStats {
  /** Counts ends that were written to the ledger. */
  ended(ends: readonly TerminalRow[]): void;
  /** Ends an open row of the ledger, and counts the end. Returns false as `markTerminal` does. */
  end(row: TasklessRow, outcome: Outcome): Promise<boolean>;
}

/** Every recorder notes the queues: the last note of a minute counts. */
export function startStats(base: WorkerContext): RecorderStats {
  const { config, db, log, clock, closers, metrics } = base;
  const queues = new QueueNotes(base);
  const writer = new StatsWriter({
    db,
    // Without Redis the counts of the ends are written all the same.
    beforeWrite: (counts) =>
      queues.note(counts).catch((error) => log.debug({ err: error }, 'the queues cannot be noted in the history')),
    onError: (error) => log.warn({ err: error }, 'the history cannot be written: the counts wait in memory'),
  });
  closers.push('history', () => writer.close());
  const keep = () => {
    // A clock that is ahead must not discard the history.
    if (clock.fault() !== undefined) return;
    keepDays(db, config.statsRetentionDays).catch((error) =>
      log.warn({ err: error }, 'the days of the history cannot be added up or discarded'),
    );
  };
  const first = setTimeout(keep, FIRST_MS);
  closers.push('first days of the history', () => clearTimeout(first));
  const timer = setInterval(keep, KEEP_EVERY_MS);
  closers.push('history retention', () => clearInterval(timer));
  const { counts } = writer;
  return {
    ended: (ends) => {
      for (const end of ends) counts.ended(end);
      metrics.predictions.ended(ends);
    },
    async end(row, outcome) {
      const isEnded = await markTerminal(db, row, { ...outcome, publicUrl: config.publicUrl });
      if (isEnded) counts.ended({ ...row, ...outcome });
      if (isEnded) metrics.predictions.ended([{ ...row, ...outcome, attempts: outcome.attempts ?? row.attempts }]);
      return isEnded;
    },
  };
}

async function keepDays(db: Pool, retentionDays: number): Promise<void> {
  await addDays(db, retentionDays, sharedNow());
  await dropOldStats(db, retentionDays, sharedNow());
  await dropOldDays(db, retentionDays, sharedNow());
}

class QueueNotes {
  readonly #base: WorkerContext;
  /** The models whose last note has waiting predictions. */
  readonly #busy = new Set<string>();

  constructor(base: WorkerContext) {
    this.#base = base;
  }

  /** Notes each queue that has, or had at the last note, waiting predictions, and the sum of all queues. */
  async note(counts: StatsCounts): Promise<void> {
    const { live, redis, keys, db } = this.#base;
    const reader = { redis, keys, counts: (model: string) => live.counts(model) };
    const states = await queueStates(reader, await queueNames(db));
    const nowMs = sharedNow();
    for (const [model, state] of states) {
      if (state.waiting > 0 || this.#busy.has(model)) counts.queue(model, noteOf(state, nowMs), nowMs);
      if (state.waiting > 0) this.#busy.add(model);
      else this.#busy.delete(model);
    }
    counts.queue(ALL, noteOf(sumOfQueues(states), nowMs), nowMs);
  }
}

const noteOf = ({ waiting, since }: QueueState, nowMs: number) => ({
  waiting,
  oldestMs: since === null ? null : Math.max(0, nowMs - since),
});
