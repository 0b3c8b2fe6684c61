/**
 * The ledger: the Postgres record of every promise and of every prediction that has ended. This file has the statements that read
 * and write the table `predictions`. The statement that records a terminal status also writes its events and deliveries.
 *
 *     insertPromises ─► queued ─ recordTerminal ─► succeeded
 *                         ▲                  └───► failed, canceled, expired
 *                         └────── markRetried ──────────┘
 */
import type { Db } from '../postgres/db.ts';
import { isDataFault } from '../postgres/error-code.ts';
import { idBoundAt } from '../predictions/ids.ts';
import { LEDGER_TASK_BYTES } from '../predictions/ledger-task.ts';
import type { Status } from '../predictions/prediction.ts';
import {
  columnArrays,
  LEDGER_COLUMNS,
  type LedgerRow,
  PROMISE_COLUMNS,
  type PromiseRow,
  TASKLESS_COLUMNS,
  type TasklessRow,
  unnestSql,
} from './ledger-rows.ts';

export { dropOldPartitions, ensureDays, ensurePartitions } from '../postgres/partitions.ts';
export type { LedgerRow, ListedRow, PredictionOptions, PromiseRow, TasklessRow, TerminalRow } from './ledger-rows.ts';
export { type ListOptions, listPredictions, type Scanned } from './list-rows.ts';
export { markTerminal, recordTerminal, writtenEnds } from './record-terminal.ts';

const INSERT_PROMISES = `
  INSERT INTO predictions (${PROMISE_COLUMNS.map(([name]) => name).join(', ')}, status, result, attempts, promised)
  SELECT id, tenant, model, version, digest, priority, task, options::jsonb, metadata, created_at, expires_at,
         idempotency_hash, row_count, is_list, cache_use, 'queued', '', 0, true
    FROM ${unnestSql(PROMISE_COLUMNS)}
  ON CONFLICT (id) DO NOTHING`;

/**
 * Commits promises in one statement. Existing rows stay unchanged: a repeated call changes nothing, and a terminal status that was
 * recorded before its promise is kept.
 */
export async function insertPromises(db: Db, rows: readonly PromiseRow[]): Promise<void> {
  if (rows.length === 0) return;
  // In the order of ids, as in recordTerminal: otherwise two statements with the same rows could deadlock.
  const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
  await db.query({ name: 'insert-promises', text: INSERT_PROMISES, values: columnArrays(PROMISE_COLUMNS, sorted) });
}

/**
 * Commits promises as `insertPromises` does, and returns an error for each row whose data Postgres cannot store: a statement with
 * such a row is repeated in halves, so that the row fails alone. Rejects when Postgres fails for another reason.
 */
export async function insertEachPromise(db: Db, rows: readonly PromiseRow[]): Promise<(Error | undefined)[]> {
  try {
    await insertPromises(db, rows);
    return rows.map(() => undefined);
  } catch (error) {
    if (!isDataFault(error)) throw error;
    if (rows.length === 1) return [error];
    const half = rows.length >> 1;
    const first = await insertEachPromise(db, rows.slice(0, half));
    return [...first, ...(await insertEachPromise(db, rows.slice(half)))];
  }
}

/** Finds a prediction of a tenant. */
export async function findPrediction(db: Db, tenant: string, id: string): Promise<LedgerRow | undefined> {
  const { rows } = await db.query<LedgerRow>(
    `SELECT ${LEDGER_COLUMNS} FROM predictions WHERE id = $1 AND tenant = $2`,
    [id, tenant],
  );
  return rows[0];
}

/** Finds a prediction of a tenant without its task, which may be large: for callers that only show the prediction. */
export async function findTaskless(db: Db, tenant: string, id: string): Promise<TasklessRow | undefined> {
  const { rows } = await db.query<TasklessRow>(
    `SELECT ${TASKLESS_COLUMNS} FROM predictions WHERE id = $1 AND tenant = $2`,
    [id, tenant],
  );
  return rows[0];
}

/** The terminal status of a prediction in the ledger, or its status if the prediction has not ended. */
export interface RecordedEnd {
  id: string;
  status: Status;
  opening: number;
  completedAt: number | null;
}

/** Finds the ends of predictions, in no order. Ids that the ledger does not have are left out. */
export async function findEnds(db: Db, ids: readonly string[]): Promise<RecordedEnd[]> {
  const { rows } = await db.query<RecordedEnd>(
    'SELECT id, status, opening, completed_at AS "completedAt" FROM predictions WHERE id = ANY ($1::uuid[])',
    [ids],
  );
  return rows;
}

/** Finds a prediction of any tenant that has ended. The caller must have checked the permission to read the prediction. */
export async function findEnded(db: Db, id: string): Promise<TasklessRow | undefined> {
  const { rows } = await db.query<TasklessRow>(
    `SELECT ${TASKLESS_COLUMNS} FROM predictions WHERE id = $1 AND status NOT IN ('queued', 'running')`,
    [id],
  );
  return rows[0];
}

/** A prediction that was created with an Idempotency-Key. */
export interface KeyedPrediction {
  id: string;
  /** The same text as `PromiseRow.idempotencyHash`: 32 characters that name the key, then a suffix of the writer. */
  idempotencyHash: string;
  createdAt: number;
}

const FIND_KEYED = `
  SELECT found.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (tenant, hash, number)
    LEFT JOIN LATERAL (
      SELECT id, idempotency_hash AS "idempotencyHash", created_at AS "createdAt" FROM predictions
       WHERE tenant = wanted.tenant AND left(idempotency_hash, 32) = wanted.hash AND idempotency_hash IS NOT NULL
         AND id >= $3 AND status <> 'canceled'
       ORDER BY id DESC LIMIT 1
    ) found ON true
   ORDER BY wanted.number`;

/**
 * Finds for each key the newest prediction of its tenant since `sinceMs`, or undefined. The first 32 characters of a hash count.
 * Canceled predictions are left out: a request that got an error response ends as canceled, and its key is free again.
 */
export async function findKeyed(
  db: Db,
  keys: readonly { tenant: string; hash: string }[],
  sinceMs: number,
): Promise<(KeyedPrediction | undefined)[]> {
  const tenants = keys.map(({ tenant }) => tenant);
  const hashes = keys.map(({ hash }) => hash);
  const { rows } = await db.query<KeyedPrediction | { id: null }>({
    name: 'find-keyed',
    text: FIND_KEYED,
    values: [tenants, hashes, idBoundAt(sinceMs)],
  });
  return rows.map((row) => (row.id === null ? undefined : row));
}

/** Reads the outputs (JSON text) of predictions of a tenant, by id. The caller limits the bytes: see `ListedRow.outputBytes`. */
export async function readOutputs(db: Db, tenant: string, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ id: string; result: string }>(
    `SELECT id, result FROM predictions WHERE id = ANY ($1::uuid[]) AND tenant = $2 AND status = 'succeeded'`,
    [ids, tenant],
  );
  return new Map(rows.map(({ id, result }) => [id, result]));
}

export interface OpenOptions {
  /** Only promises of at least this age: the submission of younger promises to Redis may still be in progress. */
  olderThanMs: number;
  limit: number;
  /** Only promises after this id. */
  after?: string;
  /** Only promises with a task of LEDGER_TASK_BYTES or more. */
  large?: boolean;
}

/** A promise that is not terminal, without its task, which may be large. */
export interface OpenPromise extends TasklessRow {
  /** Whether its deadline has passed by the clock of Postgres. */
  overdue: boolean;
}

const AND_LARGE = `AND octet_length(task) >= ${LEDGER_TASK_BYTES}`;
const POSTGRES_MS = '(extract(epoch FROM statement_timestamp()) * 1000)::bigint';

/** Lists the open promises of all tenants, oldest first, by the clock of Postgres. Cheap when no promise is open. */
export async function openPromises(db: Db, options: OpenOptions): Promise<OpenPromise[]> {
  const { olderThanMs, limit, after = '00000000-0000-0000-0000-000000000000', large = false } = options;
  const { rows } = await db.query<OpenPromise>(
    `SELECT ${TASKLESS_COLUMNS}, coalesce(expires_at <= ${POSTGRES_MS}, false) AS overdue FROM predictions
      WHERE status IN ('queued', 'running') AND id > $1 AND created_at <= ${POSTGRES_MS} - $2 ${large ? AND_LARGE : ''}
      ORDER BY id LIMIT $3`,
    [after, olderThanMs, limit],
  );
  return rows;
}

/**
 * Reads the tasks (JSON text) of predictions, by id; null for a row without a task. The caller limits the bytes: see
 * `TasklessRow.taskBytes`.
 */
export async function readTasks(db: Db, ids: readonly string[]): Promise<Map<string, string | null>> {
  const { rows } = await db.query<{ id: string; task: string | null }>(
    'SELECT id, task FROM predictions WHERE id = ANY ($1::uuid[])',
    [ids],
  );
  return new Map(rows.map(({ id, task }) => [id, task]));
}

/** Returns the ids of the rows that the primary has. The lock of the rows rejects on a standby, which may lack new rows. */
export async function findOnPrimary(db: Db, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    'SELECT id FROM predictions WHERE id = ANY ($1::uuid[]) FOR KEY SHARE',
    [ids],
  );
  return rows.map(({ id }) => id);
}

const LARGE_OPEN_BYTES = `SELECT coalesce(sum(octet_length(task)), 0) AS bytes FROM predictions
   WHERE status IN ('queued', 'running') ${AND_LARGE}`;

/** The bytes of the large tasks of all open promises. Reads the row of each open promise, and no task. */
export async function largeOpenBytes(db: Db): Promise<number> {
  const { rows } = await db.query<{ bytes: string | number }>({ name: 'large-open-bytes', text: LARGE_OPEN_BYTES });
  return Number(rows[0]?.bytes);
}

/** The end that a retry undoes. */
export interface UndoneEnd {
  tenant: string;
  id: string;
  /** The opening that has ended. */
  opening: number;
  nowMs: number;
}

/**
 * Starts the next opening of a failed, canceled or expired prediction: the status is `queued` again, and the time until the
 * deadline is the same as in the first request. Returns the row, or undefined when the opening has another end, or when another retry
 * was first.
 *
 * `attempts` stays, so that writes of the next execution differ from writes of the last execution. `superseded_at` is for
 * processes of 0.1.0, which distinguish an old end from a new end by its time.
 */
export async function markRetried(db: Db, { tenant, id, opening, nowMs }: UndoneEnd): Promise<LedgerRow | undefined> {
  const { rows } = await db.query<LedgerRow>(
    `UPDATE predictions
        SET status = 'queued', result = '', started_at = NULL, completed_at = NULL, inference_ms = NULL,
            batch_size = NULL, promised = true, worker_id = NULL, batched_at = NULL, queued_at = NULL, recorded_at = NULL,
            earlier_attempts = CASE WHEN worker_id IS NULL OR started_at IS NULL THEN earlier_attempts
              ELSE (coalesce(earlier_attempts, '[]')::jsonb || jsonb_build_array(jsonb_build_array(attempts, worker_id, started_at)))::text END, superseded_at = completed_at, opening = opening + 1,
            allowance_ms = coalesce(allowance_ms, expires_at - created_at),
            expires_at = CASE WHEN expires_at IS NOT NULL THEN
              $4::bigint + greatest(1, coalesce(allowance_ms, expires_at - created_at)) END
      WHERE id = $1 AND tenant = $2 AND opening = $3 AND status IN ('failed', 'canceled', 'expired')
        AND task IS NOT NULL
      RETURNING ${LEDGER_COLUMNS}`,
    [id, tenant, opening, nowMs],
  );
  return rows[0];
}
