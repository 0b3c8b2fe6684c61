/**
 * Adds predictions to the queue. The predictions of one model version and priority share a batch: their live states and their
 * job take one round trip to Redis.
 */

import { Batcher, type BatchListener } from '@millrace/shared/batching/batcher';
import type { LiveStore, NewPrediction, QueueCounts, Submitted } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, type Priority } from '@millrace/shared/predictions/prediction';
import { jobIdOf, rowsAhead, slotsAhead } from '@millrace/shared/queue/job';
import type { Queues } from '@millrace/shared/queue/queues';
import type { Logger } from 'pino';

/** The most predictions in one job. A larger job gains no throughput, and a lost worker would cost more. */
const BATCH_MAX = 256;
/**
 * Full batches of one batcher in progress at once. With 40, of 10,000 callers, the last batches timed out behind the others.
 */
const FULL_BATCHES_MAX = 4;
/** The most predictions of a batch whose commands are joined into one write. */
const JOINED_MAX = 4;
/** A batcher without items for this long is discarded, since model versions change. */
const IDLE_MS = 60_000;

export interface Target {
  model: string;
  version: string;
  digest: string;
}

/** Where a prediction goes. Every PendingPrediction fits. */
export interface Destination {
  served: { version: Target };
  priority: Priority;
}

export interface SubmitResult {
  submitted: Submitted;
  /** Unix ms: the time of the end of a prediction whose output was cached. */
  submittedAt: number;
  counts: QueueCounts;
}

export interface Submitter {
  /** Resolves when live state and job are written. After a rejection, each of the two may be written or not. */
  submit(to: Destination, item: NewPrediction): Promise<SubmitResult>;
  /** Does the same as `submit` without a promise, for the hot path. */
  put(to: Destination, item: NewPrediction, listener: BatchListener<SubmitResult>): void;
}

interface Entry {
  model: string;
  version: string;
  priority: Priority;
  batcher: Batcher<NewPrediction, SubmitResult>;
  usedAt: number;
}

export interface SubmitterDeps {
  live: LiveStore;
  queues: Queues;
  log: Logger;
  redisReady(): boolean;
  /** Joins the commands of this turn of the event loop into one write. */
  writeOnce(): void;
  /** Measures the call that writes a batch. */
  timed<T>(call: Promise<T>): Promise<T>;
  /** Receives the counts of the model's queue as they were right after a batch was added. */
  onCounts(model: string, counts: QueueCounts): void;
}

export function createSubmitter(deps: SubmitterDeps): Submitter {
  // By digest, then by a search: a text key for each request would cost more.
  const batchers = new Map<string, Entry[]>();

  function batcherOf({ served: { version: target }, priority }: Destination): Entry['batcher'] {
    const { model, version, digest } = target;
    const ofDigest = batchers.get(digest);
    let entry = ofDigest?.find((one) => one.priority === priority && one.model === model && one.version === version);
    if (!entry) {
      discardIdle(batchers);
      entry = { model, version, priority, batcher: createBatcher(deps, target, priority), usedAt: 0 };
      batchers.set(digest, [...(batchers.get(digest) ?? []), entry]);
    }
    entry.usedAt = performance.now();
    return entry.batcher;
  }

  return {
    submit: (to, item) => batcherOf(to).add(item),
    put: (to, item, listener) => batcherOf(to).put(item, listener),
  };
}

function createBatcher(deps: SubmitterDeps, target: Target, priority: Priority): Entry['batcher'] {
  return new Batcher({
    run: (items) => send(deps, { target, priority, items }),
    maxItems: BATCH_MAX,
    fullConcurrency: FULL_BATCHES_MAX,
    // A timeout alone does not fail the waiting items: of thousands of callers the first batch may be late, and the others in
    // time.
    failsAll: () => !deps.redisReady(),
  });
}

interface Batch {
  target: Target;
  priority: Priority;
  items: NewPrediction[];
}

async function send(deps: SubmitterDeps, { target, priority, items }: Batch): Promise<SubmitResult[]> {
  const { live, queues, onCounts } = deps;
  const { model, version } = target;
  const open = items.filter(({ known }) => known === null);
  const [first] = items;
  if (first === undefined) return [];
  const jobId = jobIdOf(first.id, first.resubmittedAt);
  const submittedAt = sharedNow();
  // For a larger batch a second call of the system is negligible, and collecting its commands would cost more.
  if (items.length <= JOINED_MAX) deps.writeOnce();
  const submitting = live.submit(target, { priority, job: jobId, nowMs: submittedAt }, items);
  // Both commands go over one connection in this order, so a worker never takes the job before its states exist. Large states
  // go over another connection, so the job must wait for them.
  if (live.sendsLarge(items)) await submitting;
  const tasks = open.map(({ task }) => task);
  const ahead = rowsAhead(tasks);
  const adding =
    open.length > 0
      ? queues.add({
          model,
          version,
          ids: open.map(({ id }) => id),
          priority: BULL_PRIORITY[priority],
          jobId,
          rows: open.some(({ rows = 1 }) => rows !== 1) ? open.map(({ rows = 1 }) => rows) : undefined,
          ahead,
          // Tasks with rows of their own have no slots, and are not read twice.
          slots: ahead === undefined ? slotsAhead(tasks) : undefined,
        })
      : undefined;
  const [{ items: submitted, counts }] = await deps.timed(Promise.all([submitting, adding]));
  onCounts(model, counts);
  liftLeaders(deps, { target, priority, submitted });
  return submitted.map((one) => ({ submitted: one, submittedAt, counts }));
}

interface SubmittedBatch {
  target: Target;
  priority: Priority;
  submitted: readonly Submitted[];
}

/** Raises the priority of each leader that has a lower priority than its new follower. */
function liftLeaders({ queues, log }: SubmitterDeps, { target, priority, submitted }: SubmittedBatch): void {
  for (const one of submitted) {
    if (one.outcome !== 'follow' || one.leaderPriority <= BULL_PRIORITY[priority]) continue;
    queues
      .lift({ model: target.model, id: one.leader, jobId: one.leaderJob, priority: BULL_PRIORITY[priority] })
      .catch((error) => log.warn({ err: error, id: one.leader }, 'could not raise the priority of a leader'));
  }
}

function discardIdle(batchers: Map<string, Entry[]>): void {
  const before = performance.now() - IDLE_MS;
  for (const [digest, entries] of batchers) {
    const used = entries.filter(({ batcher, usedAt }) => batcher.waiting > 0 || usedAt > before);
    if (used.length > 0) batchers.set(digest, used);
    else batchers.delete(digest);
  }
}
