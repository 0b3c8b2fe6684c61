/**
 * The ledger: the Postgres record of every prediction that Millrace promised to answer, or answered. Statements of the
 * table `predictions`; what follows from a terminal state (events, deliveries) is written by the same statement.
 *
 *     insertPromises ─► queued ─ recordTerminal ─► succeeded
 *                         ▲                  └───► failed, canceled, expired
 *                         └────── markRetried ──────────┘
 */
import type { Db } from '../postgres/db.ts';
import { idBoundAt } from '../predictions/ids.ts';
import { STATUSES, type Status } from '../predictions/prediction.ts';
import {
  columnArrays,
  LEDGER_COLUMNS,
  type LedgerRow,
  LISTED_COLUMNS,
  type ListedRow,
  PROMISE_COLUMNS,
  type PromiseRow,
  TASKLESS_COLUMNS,
  type TasklessRow,
  unnestSql,
} from './ledger-rows.ts';

export { dropOldPartitions, ensureDays, ensurePartitions } from '../postgres/partitions.ts';
export type { LedgerRow, ListedRow, PredictionOptions, PromiseRow, TasklessRow, TerminalRow } from './ledger-rows.ts';
export { markTerminal, recordTerminal } from './record-terminal.ts';

const INSERT_PROMISES = `
  INSERT INTO predictions (${PROMISE_COLUMNS.map(([name]) => name).join(', ')}, status, result, attempts, promised)
  SELECT id, tenant, model, version, digest, priority, task, options::jsonb, metadata, created_at, expires_at,
         idempotency_hash, 'queued', '', 0, true
    FROM ${unnestSql(PROMISE_COLUMNS)}
  ON CONFLICT (id) DO NOTHING`;

/**
 * Commits promises, as one statement. One that is there already stays as it is: a repeated call changes nothing, and a
 * terminal state that was quicker than its promise is kept.
 */
export async function insertPromises(db: Db, rows: readonly PromiseRow[]): Promise<void> {
  if (rows.length === 0) return;
  // In the order of ids, as recordTerminal: two statements that met the same rows would otherwise wait for each other.
  const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
  await db.query({ name: 'insert-promises', text: INSERT_PROMISES, values: columnArrays(PROMISE_COLUMNS, sorted) });
}

/** A tenant's prediction, or undefined. */
export async function findPrediction(db: Db, tenant: string, id: string): Promise<LedgerRow | undefined> {
  const { rows } = await db.query<LedgerRow>(
    `SELECT ${LEDGER_COLUMNS} FROM predictions WHERE id = $1 AND tenant = $2`,
    [id, tenant],
  );
  return rows[0];
}

/** As `findPrediction`, without the task, which may be large: for those who show a prediction. */
export async function findTaskless(db: Db, tenant: string, id: string): Promise<TasklessRow | undefined> {
  const { rows } = await db.query<TasklessRow>(
    `SELECT ${TASKLESS_COLUMNS} FROM predictions WHERE id = $1 AND tenant = $2`,
    [id, tenant],
  );
  return rows[0];
}

/** What the ledger has as the end of a prediction, if that has ended. */
export interface RecordedEnd {
  id: string;
  status: Status;
  opening: number;
  completedAt: number | null;
}

/** Of those of the ids that the ledger knows, in no order. */
export async function findEnds(db: Db, ids: readonly string[]): Promise<RecordedEnd[]> {
  const { rows } = await db.query<RecordedEnd>(
    'SELECT id, status, opening, completed_at AS "completedAt" FROM predictions WHERE id = ANY ($1::uuid[])',
    [ids],
  );
  return rows;
}

/** A prediction that has ended, of whatever tenant: for a caller who may see it already. */
export async function findEnded(db: Db, id: string): Promise<TasklessRow | undefined> {
  const { rows } = await db.query<TasklessRow>(
    `SELECT ${TASKLESS_COLUMNS} FROM predictions WHERE id = $1 AND status NOT IN ('queued', 'running')`,
    [id],
  );
  return rows[0];
}

/** A prediction that was made under an Idempotency-Key. */
export interface KeyedPrediction {
  id: string;
  /** As `PromiseRow.idempotencyHash`: 32 characters that name the key, and what its writer put behind them. */
  idempotencyHash: string;
  createdAt: number;
}

const FIND_KEYED = `
  SELECT found.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (tenant, hash, number)
    LEFT JOIN LATERAL (
      SELECT id, idempotency_hash AS "idempotencyHash", created_at AS "createdAt" FROM predictions
       WHERE tenant = asked.tenant AND left(idempotency_hash, 32) = asked.hash AND idempotency_hash IS NOT NULL
         AND id >= $3 AND status <> 'canceled'
       ORDER BY id DESC LIMIT 1
    ) found ON true
   ORDER BY asked.number`;

/**
 * For each key, of which the first 32 characters count, its tenant's newest prediction since `sinceMs`, or undefined. What
 * was canceled is left out: so ends a request that was answered by an error, whose key is free again.
 */
export async function findKeyed(
  db: Db,
  asked: readonly { tenant: string; hash: string }[],
  sinceMs: number,
): Promise<(KeyedPrediction | undefined)[]> {
  const tenants = asked.map(({ tenant }) => tenant);
  const hashes = asked.map(({ hash }) => hash);
  const { rows } = await db.query<KeyedPrediction | { id: null }>({
    name: 'find-keyed',
    text: FIND_KEYED,
    values: [tenants, hashes, idBoundAt(sinceMs)],
  });
  return rows.map((row) => (row.id === null ? undefined : row));
}

export interface ListOptions {
  model?: string;
  status?: Status;
  limit: number;
  /** Only what is older than this id. */
  before?: string;
}

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** A tenant's predictions, newest first, without their tasks and outputs, which may be large. */
export async function listPredictions(db: Db, tenant: string, options: ListOptions): Promise<ListedRow[]> {
  const { model, status, limit, before = LAST_ID } = options;
  if (status !== undefined && !STATUSES.includes(status)) throw new RangeError(`'${status}' is not a status.`);
  // Written out, since the partial indexes are considered only for a status that is known when the query is planned.
  const ofStatus = status === undefined ? '' : `AND status = '${status}'`;
  const page = (ofModel: string) => `
    SELECT ${LISTED_COLUMNS} FROM predictions
     WHERE tenant = $1 AND id < $2 ${ofModel} ${ofStatus}
     ORDER BY predictions.id DESC LIMIT $3`;
  const values = [tenant, before, limit];
  if (model !== undefined) return (await db.query<ListedRow>(page('AND model = $4'), [...values, model])).rows;
  if (status !== undefined && status !== 'succeeded') return (await db.query<ListedRow>(page(''), values)).rows;
  // For all models, a page of each: there is an index by model, and one more index would cost every row that is written.
  const { rows } = await db.query<ListedRow>(
    `SELECT page.* FROM models m CROSS JOIN LATERAL (${page('AND model = m.model')}) page
      WHERE m.tenant = $1 OR (m.tenant = 'default' AND NOT EXISTS
            (SELECT FROM models own WHERE own.tenant = $1 AND own.model = m.model))
      ORDER BY page.id DESC LIMIT $3`,
    values,
  );
  return rows;
}

/** JSON text of the outputs of a tenant's predictions, by id. The caller bounds the bytes: see `ListedRow.outputBytes`. */
export async function readOutputs(db: Db, tenant: string, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ id: string; result: string }>(
    `SELECT id, result FROM predictions WHERE id = ANY ($1::uuid[]) AND tenant = $2 AND status = 'succeeded'`,
    [ids, tenant],
  );
  return new Map(rows.map(({ id, result }) => [id, result]));
}

export interface OpenOptions {
  /** Only what was made at least so long ago: younger ones may still be on their way into Redis. */
  olderThanMs: number;
  limit: number;
  /** Only what comes after this id. */
  after?: string;
}

/** A promise that is not kept yet, without its task, which may be large. */
export interface OpenPromise extends TasklessRow {
  /** Whether its deadline has passed by the clock of Postgres. */
  overdue: boolean;
}

const POSTGRES_MS = '(extract(epoch FROM statement_timestamp()) * 1000)::bigint';

/** Promises of all tenants that are not terminal, oldest first. Cheap when there are none. Postgres's clock decides. */
export async function openPromises(db: Db, options: OpenOptions): Promise<OpenPromise[]> {
  const { olderThanMs, limit, after = '00000000-0000-0000-0000-000000000000' } = options;
  const { rows } = await db.query<OpenPromise>(
    `SELECT ${TASKLESS_COLUMNS}, coalesce(expires_at <= ${POSTGRES_MS}, false) AS overdue FROM predictions
      WHERE status IN ('queued', 'running') AND id > $1 AND created_at <= ${POSTGRES_MS} - $2
      ORDER BY id LIMIT $3`,
    [after, olderThanMs, limit],
  );
  return rows;
}

/** JSON text of the tasks of predictions, by id. The caller bounds the bytes: see `TasklessRow.taskBytes`. */
export async function readTasks(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ id: string; task: string }>(
    'SELECT id, task FROM predictions WHERE id = ANY ($1::uuid[]) AND task IS NOT NULL',
    [ids],
  );
  return new Map(rows.map(({ id, task }) => [id, task]));
}

/** Which end a retry undoes. */
export interface UndoneEnd {
  tenant: string;
  id: string;
  /** The opening that has ended. */
  opening: number;
  nowMs: number;
}

/**
 * Opens a failed, canceled or expired prediction again, as queued, with the next number of opening and as much time as its
 * first request gave it. Returns the row; undefined when that opening has no such end, or was opened again already.
 *
 * `attempts` stays, so that what the next execution writes is told from what the last one wrote. `superseded_at` is for
 * processes of 0.1.0, which tell an old end from a new one by its time.
 */
export async function markRetried(db: Db, { tenant, id, opening, nowMs }: UndoneEnd): Promise<LedgerRow | undefined> {
  const { rows } = await db.query<LedgerRow>(
    `UPDATE predictions
        SET status = 'queued', result = '', started_at = NULL, completed_at = NULL, inference_ms = NULL,
            batch_size = NULL, promised = true, superseded_at = completed_at, opening = opening + 1,
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
