/** Takes predictions into the queue: micro-batches per model version and priority, live state and job in one round trip. */

import { Lane, type Sender } from '@millrace/shared/batching/batcher';
import type { LiveStore, NewPrediction, QueueCounts, Submitted } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, type Priority } from '@millrace/shared/predictions/prediction';
import { jobIdOf, rowsAhead } from '@millrace/shared/queue/job';
import type { Queues } from '@millrace/shared/queue/queues';
import type { Logger } from 'pino';

/** Most predictions in one job: beyond it a batch gains nothing and one lost worker costs more. */
const BATCH_MAX = 256;
/** A lane that nobody used for this long is forgotten: versions come and go. */
const IDLE_MS = 60_000;

export interface Target {
  model: string;
  version: string;
  digest: string;
}

export interface SubmitResult {
  submitted: Submitted;
  counts: QueueCounts;
}

export interface Submitter {
  /** Resolves when live state and job are written; when it rejects, neither can be relied on. */
  submit(target: Target, priority: Priority, item: NewPrediction): Promise<SubmitResult>;
  /** As `submit`, for the fast path: without a promise. */
  put(target: Target, priority: Priority, item: NewPrediction, sender: Sender<SubmitResult>): void;
}

interface Entry {
  model: string;
  version: string;
  priority: Priority;
  lane: Lane<NewPrediction, SubmitResult>;
  usedAt: number;
}

export interface SubmitterDeps {
  live: LiveStore;
  queues: Queues;
  log: Logger;
  redisReady(): boolean;
  /** The model's counts as they were right after a batch went in. */
  onCounts(model: string, counts: QueueCounts): void;
}

/**
 * While `redisReady` says no, a batch that fails takes those with it that gathered behind it. A time-out alone does not:
 * in a crowd of thousands the first batch may be late, and the others are not.
 */
export function createSubmitter(deps: SubmitterDeps): Submitter {
  const { live, queues, log, redisReady, onCounts } = deps;
  // By digest, then one by one: putting a text together for each request to look it up by costs more than it looks.
  const lanes = new Map<string, Entry[]>();

  async function send(target: Target, priority: Priority, items: NewPrediction[]): Promise<SubmitResult[]> {
    const { model, version } = target;
    const open = items.filter(({ known }) => known === null);
    const ids = open.map(({ id }) => id);
    const [first] = items as [NewPrediction];
    const jobId = jobIdOf(first.id, first.resubmittedAt);
    const submitting = live.submit(target, priority, jobId, items, sharedNow());
    // Both go out on one connection, in this order, so the job is never there before the state that it names. Large states go
    // over another connection.
    if (live.sendsLarge(items)) await submitting;
    const [{ items: submitted, counts }] = await Promise.all([
      submitting,
      ids.length > 0
        ? queues.add({
            model,
            version,
            ids,
            priority: BULL_PRIORITY[priority],
            jobId,
            rows: open.some(({ rows = 1 }) => rows !== 1) ? open.map(({ rows = 1 }) => rows) : undefined,
            ahead: rowsAhead(open.map(({ task }) => task)),
          })
        : undefined,
    ]);
    onCounts(model, counts);
    for (const one of submitted) {
      if (one.outcome === 'follow' && one.leaderPriority > BULL_PRIORITY[priority]) {
        queues
          .lift({ model, id: one.leader, jobId: one.leaderJob, priority: BULL_PRIORITY[priority] })
          .catch((error) => log.warn({ err: error, id: one.leader }, 'a leader could not be lifted'));
      }
    }
    return submitted.map((one) => ({ submitted: one, counts }));
  }

  function laneOf(target: Target, priority: Priority): Lane<NewPrediction, SubmitResult> {
    const { model, version, digest } = target;
    const ofDigest = lanes.get(digest);
    let entry = ofDigest?.find((one) => one.priority === priority && one.model === model && one.version === version);
    if (!entry) {
      forgetIdle();
      entry = {
        model,
        version,
        priority,
        lane: new Lane(
          (items) => send(target, priority, items),
          BATCH_MAX,
          undefined,
          () => !redisReady(),
        ),
        usedAt: 0,
      };
      lanes.set(digest, [...(lanes.get(digest) ?? []), entry]);
    }
    entry.usedAt = performance.now();
    return entry.lane;
  }

  function forgetIdle(): void {
    const before = performance.now() - IDLE_MS;
    for (const [digest, entries] of lanes) {
      const used = entries.filter(({ lane, usedAt }) => lane.gathered > 0 || usedAt > before);
      if (used.length > 0) lanes.set(digest, used);
      else lanes.delete(digest);
    }
  }

  return {
    submit: (target, priority, item) => laneOf(target, priority).add(item),
    put: (target, priority, item, sender) => laneOf(target, priority).put(item, sender),
  };
}
