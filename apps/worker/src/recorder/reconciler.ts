/**
 * Finds promises that nothing carries any more and brings them back: rows of the ledger that are not terminal and that
 * Redis has lost, or holds without a job. One at a time over the cluster; a pass is bounded, and goes on where the last
 * one stopped. When Redis has lost all, or live states were discarded that nobody could read, the whole ledger is looked
 * through at once.
 */

import { problem } from '@millrace/shared/errors';
import type { OpenOptions, OpenPromise } from '@millrace/shared/ledger/ledger';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import { optionsText } from '@millrace/shared/ledger/options-text';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOfId } from '@millrace/shared/predictions/ids';
import { BULL_PRIORITY } from '@millrace/shared/predictions/prediction';
import { readTask } from '@millrace/shared/predictions/task';
import { jobIdOf, rowCounts } from '@millrace/shared/queue/job';
import type { AddJobParams, Queues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { isWrongType } from '@millrace/shared/redis/wrong-type';
import type { Logger } from 'pino';
import { Announcements } from './announcements.ts';
import { partsOf } from './ends.ts';
import { type StreamSpan, spanOf } from './lag.ts';
import { SetAside } from './set-aside.ts';
import { CountSettlement } from './settle-counts.ts';

/** Younger promises may still be on their way into Redis. */
const YOUNGEST_MS = 1_500;
const PAGE = 1_000;
/** Pages in one pass while nothing is amiss. */
const PAGES = 2;
/** Predictions in one job that is added again, and bytes of their tasks that are read and written together. */
const BATCH = 64;
const BATCH_BYTES = 1_048_576;
/** Rows whose look-ups in Redis are under way at once. */
const AT_ONCE = 200;

export interface ReconcilerDeps {
  redis: Connection;
  keys: Keys;
  live: LiveStore;
  queues: Queues;
  workerId: string;
  intervalMs: number;
  /** How long Redis keeps what has succeeded: what it does not know may be older than this and not recorded yet. */
  liveTtlMs: number;
  openPromises(options: OpenOptions): Promise<OpenPromise[]>;
  /** Whether the clock of this process may judge deadlines. No pass runs while it may not. */
  isClockRight(): boolean;
  /** JSON text of tasks, by id. */
  readTasks(ids: readonly string[]): Promise<Map<string, string>>;
  /** Ends a row that Redis does not know. */
  expire(row: TasklessRow, error: string, nowMs: number): Promise<boolean>;
  /** Ends a row that cannot be run: its task cannot be read. */
  fail(row: TasklessRow, error: string, nowMs: number): Promise<boolean>;
  /** Every model that has a queue. */
  models(): Promise<readonly string[]>;
  onOutcome(outcome: string): void;
  /** Told how many unreadable live states were discarded. */
  onUnreadable(count: number): void;
  log: Logger;
}

export interface Reconciler {
  /** One pass now; resolves to how many promises were brought back. */
  pass(): Promise<number>;
  close(): Promise<void>;
}

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const { redis, keys, workerId, intervalMs, log } = deps;
  const lock = keys.reconciler();
  const sentinels = Array.from({ length: SHARDS }, (_, shard) => keys.sentinel(shard));
  const announcements = new Announcements();
  let after: string | undefined;
  let running: Promise<number> | undefined;
  let closed = false;
  /** Live states were discarded, and the ledger has not been looked through since. */
  let damaged = false;
  const settlement = new CountSettlement(deps);

  async function countDiscarded(): Promise<void> {
    const shards = await Promise.all(sentinels.map((_, shard) => deps.live.takeDiscarded(shard)));
    const discarded = shards.reduce((sum, count) => sum + count, 0);
    if (discarded === 0) return;
    damaged = true;
    settlement.begin();
    deps.onUnreadable(discarded);
    log.warn(
      { discarded },
      'live states in Redis could not be read and were discarded, as after an upgrade from a version before 0.1.0: their promises are brought back from the ledger',
    );
  }

  async function mine(): Promise<boolean> {
    const holder = await redis.set(lock, workerId, 'PX', intervalMs * 3 + 5_000, 'NX', 'GET').catch(async (error) => {
      if (!isWrongType(error)) throw error;
      await redis.del(lock);
      return '';
    });
    if (holder === null) return true;
    if (holder !== workerId) return false;
    await redis.pexpire(lock, intervalMs * 3 + 5_000);
    return true;
  }

  async function pass(): Promise<number> {
    if (!deps.isClockRight() || !(await mine())) return 0;
    const kept = await Promise.all(sentinels.map((key) => redis.exists(key)));
    await countDiscarded();
    await settlement.check();
    const lostAll = kept.includes(0) || damaged;
    if (lostAll) after = undefined;
    if (await recorderLags(deps)) {
      log.warn(
        'the recorder is far behind: what Redis does not know any more may have ended, so nothing is brought back',
      );
      return 0;
    }
    let restored = 0;
    for (let page = 0; !closed && deps.isClockRight() && (lostAll || page < PAGES); page += 1) {
      const rows = await deps.openPromises({
        olderThanMs: YOUNGEST_MS,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      restored += await reconcile(deps, rows, announcements);
      after = rows.length === PAGE ? rows.at(-1)?.id : undefined;
      if (after === undefined) {
        damaged = false;
        break;
      }
      if (lostAll) await redis.pexpire(lock, intervalMs * 3 + 5_000);
    }
    if (lostAll && !closed && deps.isClockRight())
      await Promise.all(sentinels.map((key) => redis.set(key, sharedNow())));
    if (restored > 0) log.warn({ restored, lostAll }, 'promises were brought back');
    return restored;
  }

  async function guarded(): Promise<number> {
    running ??= pass()
      .catch((error) => {
        log.warn({ err: error }, 'the ledger cannot be reconciled');
        return 0;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  void guarded();
  const timer = setInterval(() => void guarded(), intervalMs);
  return {
    pass: guarded,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
      const holder = await redis.get(lock).catch(() => null);
      if (holder === workerId) await redis.del(lock).catch(() => {});
    },
  };
}

const UNREADABLE = JSON.stringify(
  problem('internal', 'What was asked cannot be read in the ledger any more: ask again with a new prediction.'),
);

/** Before its life in Redis ends an end is recorded with this much to spare, or nobody is to judge by Redis alone. */
const SPARE_MS = 5_000;

/**
 * Whether an end may be neither in Redis nor in the ledger, but in the recorder's stream alone: only after Postgres was away
 * for as long as Redis keeps an end. Asked before the ledger is read, so that what it says of older ends still holds then.
 */
async function recorderLags({ redis, keys, liveTtlMs }: ReconcilerDeps): Promise<boolean> {
  const spans = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => spanOf(redis, keys, shard)));
  return Math.max(...spans.map(({ lagMs }) => lagMs)) > liveTtlMs - SPARE_MS;
}

async function reconcile(
  deps: ReconcilerDeps,
  rows: readonly OpenPromise[],
  announcements: Announcements,
): Promise<number> {
  const { live, queues, onOutcome } = deps;
  const now = sharedNow();
  const lost = new Map<string, TasklessRow[]>();
  const ended: TasklessRow[] = [];
  let restored = 0;
  for (let at = 0; at < rows.length; at += AT_ONCE)
    await Promise.all(
      rows.slice(at, at + AT_ONCE).map(async (row) => {
        if (row.overdue) {
          if (await expire(deps, row, now)) ended.push(row);
          return;
        }
        const job = jobIdOf(row.id, now);
        const answer = await live.adopt(row, job, now, false);
        onOutcome(answer.outcome);
        if (answer.outcome === 'terminal') ended.push(row);
        else announcements.forget(row.id);
        if (answer.outcome === 'adopted') {
          await queues.add(jobOf(row, answer.priority, job));
          restored += 1;
        } else if (answer.outcome === 'gone' && row.taskBytes !== null) {
          const lane = `${row.model}\n${row.version}\n${row.priority}`;
          lost.set(lane, [...(lost.get(lane) ?? []), row]);
        }
      }),
    );
  await announce(deps, ended, announcements, now);
  for (const group of lost.values()) {
    const sized = group.map((row) => ({ row, bytes: row.taskBytes ?? 0 }));
    for (const part of partsOf(sized, BATCH, BATCH_BYTES))
      restored += await restore(
        deps,
        part.map(({ row }) => row),
        now,
      );
  }
  return restored;
}

/** Tells the recorder again of predictions that are terminal in Redis and open in the ledger, if their entries are gone. */
async function announce(
  { live, queues, redis, keys }: ReconcilerDeps,
  rows: readonly TasklessRow[],
  announcements: Announcements,
  now: number,
): Promise<void> {
  const setAside = new SetAside(redis, keys);
  for (const [shard, some] of Map.groupBy(rows, ({ id }) => shardOfId(id))) {
    const before = await spanOf(redis, keys, shard);
    const aside = await setAside.has(
      shard,
      some.map(({ id }) => id),
    );
    const told = new Set<string>();
    for (const row of some) {
      if (!announcements.due(row.id, before, aside.has(row.id))) continue;
      const job = jobIdOf(row.id, now);
      const answer = await live.adopt(row, job, now);
      // A retry has undone the end since it was seen.
      if (answer.outcome === 'adopted') await queues.add(jobOf(row, answer.priority, job));
      told.add(row.id);
    }
    const after: StreamSpan = await spanOf(redis, keys, shard);
    for (const { id } of some) announcements.saw(id, after, told.has(id));
  }
}

/** Whether the prediction had ended in Redis before. */
async function expire(
  { live, expire: expireRow, onOutcome }: ReconcilerDeps,
  row: TasklessRow,
  now: number,
): Promise<boolean> {
  const { outcome } = await live.end(row.id, row.tenant, 'expired', now);
  onOutcome(outcome === 'ended' ? 'expired' : outcome);
  const error = JSON.stringify(problem('expired', 'It was not answered before its deadline.'));
  if (outcome === 'gone') await expireRow(row, error, now);
  if (outcome !== 'terminal') return false;
  // An end that a retry has undone in the ledger is opened again, and this opening is overdue.
  const answer = await live.adopt(row, jobIdOf(row.id, now), now, false);
  if (answer.outcome !== 'adopted') return answer.outcome === 'terminal';
  await live.end(row.id, row.tenant, 'expired', now);
  return false;
}

async function restore(
  { live, queues, readTasks, fail }: ReconcilerDeps,
  open: readonly TasklessRow[],
  now: number,
): Promise<number> {
  const tasks = await readTasks(open.map(({ id }) => id));
  const rows: TasklessRow[] = [];
  for (const row of open) {
    const task = tasks.get(row.id);
    // A row that has ended since has no task any more.
    if (task === undefined) continue;
    if (readTask(task) === undefined) await fail(row, UNREADABLE, now);
    else rows.push(row);
  }
  const [first] = rows;
  if (!first) return 0;
  const job = jobIdOf(first.id, now);
  await Promise.all([
    live.submit(
      { model: first.model, version: first.version, digest: first.digest },
      first.priority,
      job,
      rows.map((row) => ({
        id: row.id,
        createdAt: row.createdAt,
        expiresAt: row.expiresAt,
        tenant: row.tenant,
        metadata: row.metadata,
        options: optionsText(row),
        // Alone: whom it might have followed is lost as well.
        flight: null,
        task: tasks.get(row.id) as string,
        attempts: row.attempts,
        opening: row.opening,
        known: null,
      })),
      now,
    ),
    queues.add({
      model: first.model,
      version: first.version,
      ids: rows.map(({ id }) => id),
      priority: BULL_PRIORITY[first.priority],
      jobId: job,
      rows: rowCounts(rows.map(({ id }) => tasks.get(id) as string)),
    }),
  ]);
  return rows.length;
}

const jobOf = ({ model, version, id }: TasklessRow, priority: number, jobId: string): AddJobParams => ({
  model,
  version,
  ids: [id],
  priority,
  jobId,
});
