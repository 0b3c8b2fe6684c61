/** Restores, expires or announces open promises of the ledger, depending on their live states in Redis. */

import type { OpenPromise } from '@millrace/shared/ledger/ledger';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import { optionsTextOfRow } from '@millrace/shared/ledger/options-text';
import { EXPIRED, UNREADABLE_TASK } from '@millrace/shared/live/end-errors';
import { spanOf } from '@millrace/shared/live/ledger-stream';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOfId } from '@millrace/shared/predictions/ids';
import { LEDGER_TASK_BYTES, ledgerTask } from '@millrace/shared/predictions/ledger-task';
import { BULL_PRIORITY } from '@millrace/shared/predictions/prediction';
import { readTask, type StoredTask } from '@millrace/shared/predictions/task';
import { anOlderProcessRuns } from '@millrace/shared/queue/bytes-support';
import { jobIdOf, rowCounts } from '@millrace/shared/queue/job';
import type { AddJobParams } from '@millrace/shared/queue/queues';
import { Announcements } from './announcements.ts';
import { partsOf } from './ends.ts';
import type { ReconcilerDeps } from './reconciler-deps.ts';
import { SetAside } from './set-aside.ts';

/** Predictions in one restored job. */
const BATCH = 64;
/** Bytes of the tasks that are read and written together. */
const BATCH_BYTES = 1_048_576;
/** Rows whose Redis commands are in progress at the same time. */
const AT_ONCE = 200;

export class PromiseRestorer {
  readonly #deps: ReconcilerDeps;
  readonly #announcements = new Announcements();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Reconciles rows of the ledger with Redis. Returns the number of restored promises. */
  async reconcile(rows: readonly OpenPromise[]): Promise<number> {
    const now = sharedNow();
    const ended: TasklessRow[] = [];
    /** Rows that Redis has lost, by model, version and priority. */
    const lost = new Map<string, TasklessRow[]>();
    let restored = 0;
    const reconcileRow = async (row: OpenPromise): Promise<void> => {
      if (row.overdue) {
        if (await this.#expire(row, now)) ended.push(row);
        return;
      }
      const outcome = await this.#adopt(row, now);
      if (outcome === 'terminal') ended.push(row);
      else this.#announcements.forget(row.id);
      if (outcome === 'adopted') {
        restored += 1;
      } else if (outcome === 'gone' && row.taskBytes !== null) {
        const group = `${row.model}\n${row.version}\n${row.priority}`;
        lost.set(group, [...(lost.get(group) ?? []), row]);
      }
    };
    for (let at = 0; at < rows.length; at += AT_ONCE) await Promise.all(rows.slice(at, at + AT_ONCE).map(reconcileRow));
    await this.#announce(ended, now);
    for (const group of lost.values()) {
      const sized = group.map((row) => ({ row, bytes: row.taskBytes ?? 0 }));
      for (const part of partsOf(sized, BATCH, BATCH_BYTES)) {
        restored += await this.#restore(
          part.map(({ row }) => row),
          now,
        );
      }
    }
    return restored;
  }

  /** Gives a live state without a job a new job. */
  async #adopt(row: TasklessRow, now: number): Promise<string> {
    const { live, queues, onOutcome } = this.#deps;
    const job = jobIdOf(row.id, now);
    const adoption = await live.adopt(row, { job, nowMs: now, announce: false });
    onOutcome(adoption.outcome);
    if (adoption.outcome === 'adopted') await queues.add(jobOf(row, adoption.priority, job));
    return adoption.outcome;
  }

  /** Announces ends to the recorder again: the ledger does not have the ends, and their stream entries are gone. */
  async #announce(rows: readonly TasklessRow[], now: number): Promise<void> {
    const { live, queues, redis, keys } = this.#deps;
    const setAside = new SetAside(redis, keys);
    for (const [shard, some] of Map.groupBy(rows, ({ id }) => shardOfId(id))) {
      const before = await spanOf(redis, keys, shard);
      const ids = some.map(({ id }) => id);
      const aside = await setAside.has(shard, ids);
      const announced = new Set<string>();
      for (const row of some) {
        if (!this.#announcements.due(row.id, before, aside.has(row.id))) continue;
        const job = jobIdOf(row.id, now);
        const adoption = await live.adopt(row, { job, nowMs: now });
        // A retry has replaced the end since the first look-up.
        if (adoption.outcome === 'adopted') await queues.add(jobOf(row, adoption.priority, job));
        announced.add(row.id);
      }
      const after = await spanOf(redis, keys, shard);
      for (const id of ids) this.#announcements.saw(id, after, announced.has(id));
    }
  }

  /** Expires an overdue promise. Returns whether the prediction had already ended in Redis. */
  async #expire(row: TasklessRow, now: number): Promise<boolean> {
    const { live, expire, onOutcome } = this.#deps;
    const { outcome } = await live.end(row.id, { tenant: row.tenant, status: 'expired', nowMs: now });
    onOutcome(outcome === 'ended' ? 'expired' : outcome);
    if (outcome === 'gone') await expire(row, EXPIRED, now);
    if (outcome !== 'terminal') return false;
    // When a retry has replaced the end in the ledger, adopt opens the prediction again, and this opening is overdue.
    const adoption = await live.adopt(row, { job: jobIdOf(row.id, now), nowMs: now, announce: false });
    if (adoption.outcome !== 'adopted') return adoption.outcome === 'terminal';
    await live.end(row.id, { tenant: row.tenant, status: 'expired', nowMs: now });
    return false;
  }

  /** Submits rows of one model, version and priority that Redis has lost. Returns the number of restored promises. */
  async #restore(open: readonly TasklessRow[], now: number): Promise<number> {
    const { live, queues } = this.#deps;
    const rows = await this.#withTasks(open, now);
    const [first] = rows;
    if (!first) return 0;
    const job = jobIdOf(first.id, now);
    const items = rows.map((row) => ({
      id: row.id,
      createdAt: row.createdAt,
      expiresAt: row.expiresAt,
      tenant: row.tenant,
      metadata: row.metadata,
      options: optionsTextOfRow(row),
      // No flight: Redis has lost the leader too.
      flight: null,
      task: row.task,
      attempts: row.attempts,
      opening: row.opening,
      known: null,
    }));
    const { model, version, digest } = first;
    await Promise.all([
      live.submit({ model, version, digest }, { priority: first.priority, job, nowMs: now }, items),
      queues.add({
        model,
        version,
        ids: rows.map(({ id }) => id),
        priority: BULL_PRIORITY[first.priority],
        jobId: job,
        rows: rowCounts(rows),
      }),
    ]);
    return rows.length;
  }

  /** The rows with the tasks of their live states. A large task stays in the ledger, and the live state names the ledger. */
  async #withTasks(open: readonly TasklessRow[], now: number): Promise<PromisedRow[]> {
    const { readTasks, fail } = this.#deps;
    const large = await this.#namedInLedger(open);
    const tasks = await readTasks(open.filter(({ id }) => !large.has(id)).map(({ id }) => id));
    const rows: PromisedRow[] = [];
    for (const row of open) {
      const task = large.get(row.id) ?? tasks.get(row.id);
      // A row that has ended meanwhile has no task.
      if (task === undefined || task === null) continue;
      if (typeof task === 'string' && readTask(task) === undefined) await fail(row, UNREADABLE_TASK, now);
      else rows.push({ ...row, task });
    }
    return rows;
  }

  async #namedInLedger(open: readonly TasklessRow[]): Promise<Map<string, StoredTask>> {
    const { redis, keys } = this.#deps;
    const large = open.filter(({ taskBytes }) => (taskBytes ?? 0) >= LEDGER_TASK_BYTES);
    if (large.length === 0 || (await anOlderProcessRuns(redis, keys).catch(() => true))) return new Map();
    return new Map(large.map(({ id, taskBytes }) => [id, ledgerTask(taskBytes ?? 0)]));
  }
}

/** A row with the task of its live state. */
interface PromisedRow extends TasklessRow {
  task: StoredTask;
}

const jobOf = ({ model, version, id }: TasklessRow, priority: number, jobId: string): AddJobParams => ({
  model,
  version,
  ids: [id],
  priority,
  jobId,
});
