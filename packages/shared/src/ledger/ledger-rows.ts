/** The rows of the ledger, and their conversion into columns of a statement. */
import { type ArrayType, pgArray } from '../postgres/pg-arrays.ts';
import type { Text } from '../predictions/long-text.ts';
import type {
  CacheUse,
  PredictionRecord,
  PredictionWebhook,
  Priority,
  TerminalStatus,
} from '../predictions/prediction.ts';
import type { LedgerOutput } from '../predictions/prediction-state.ts';
import type { TimelineFacts } from '../predictions/timeline.ts';

/** The options of a request that the recorder needs when the prediction ends. */
export interface PredictionOptions {
  webhook?: PredictionWebhook;
  /** The W3C trace context of the request, as in RequestOptions. */
  trace?: string;
}

/** A prediction that was promised and is not terminal. Times are Unix milliseconds. */
export interface PromiseRow {
  id: string;
  tenant: string;
  model: string;
  version: string;
  digest: string;
  priority: Priority;
  /** JSON text of a Task. */
  task: string;
  options: PredictionOptions | null;
  /** JSON text; '' for none. */
  metadata: string;
  createdAt: number;
  expiresAt: number | null;
  idempotencyHash: string | null;
  /** The number of rows; null where a process of 0.1.0 created the prediction. */
  rows: number | null;
  /** Whether the request has `inputs`. */
  list: boolean;
  cache: CacheUse | null;
}

/**
 * A prediction that has ended, with or without a promise. For a promise, the ledger already has the request, and only the outcome
 * is written. `task` may be '' for a succeeded prediction.
 */
export interface TerminalRow extends PromiseRow, TimelineFacts {
  status: TerminalStatus;
  /** JSON text of the output, or of the error (a problem). */
  result: Text;
  startedAt: number | null;
  completedAt: number;
  attempts: number;
  /** 0, and one more for each retry: each opening ends once. */
  opening: number;
  inferenceMs: number | null;
  batchSize: number | null;
  /** Present where the open row has the output already: `result` is then ''. */
  ledgerOutput?: LedgerOutput;
}

/** A row of the table `predictions`, as the statements return it. */
export interface LedgerRow extends PredictionRecord, TimelineFacts {
  tenant: string;
  digest: string;
  priority: Priority;
  /** JSON text of the Task; null for a succeeded prediction. */
  task: string | null;
  options: PredictionOptions | null;
  promised: boolean;
  idempotencyHash: string | null;
  rows: number | null;
  list: boolean;
  cache: CacheUse | null;
  /** The time of the end that the last retry undid; null without a retry. */
  supersededAt: number | null;
}

/** A row without its task, which may be large. */
export type TasklessRow = Omit<LedgerRow, 'task'> & {
  /** Bytes of the task; null without a task. */
  taskBytes: number | null;
};

const columns = (
  task: string,
  result: string,
): string => `id, tenant, model, version, digest, status, priority, ${task},
  options, metadata, ${result}, created_at AS "createdAt", started_at AS "startedAt", completed_at AS "completedAt",
  expires_at AS "expiresAt", attempts, inference_ms AS "inferenceMs", batch_size AS "batchSize", promised,
  idempotency_hash AS "idempotencyHash", row_count AS "rows", coalesce(is_list, false) AS "list", cache_use AS "cache", opening, superseded_at AS "supersededAt",
  worker_id AS "workerId", queued_at AS "queuedAt", batched_at AS "batchedAt", earlier_attempts AS "earlierAttempts"`;

/** The columns of a SELECT that returns LedgerRows. */
export const LEDGER_COLUMNS = columns('task', 'result');

/** The columns of a SELECT that returns TasklessRows. */
export const TASKLESS_COLUMNS = columns('octet_length(task) AS "taskBytes"', 'result');

/** A row of a list, without its task and with the size of its output instead of the output. */
export type ListedRow = Omit<LedgerRow, 'task'> & {
  /** Bytes of the output; 0 without an output. */
  outputBytes: number;
  /** Bytes of the task; 0 without a task. */
  taskBytes: number;
};

/** The columns of a SELECT that returns ListedRows. */
export const LISTED_COLUMNS = columns(
  `CASE WHEN status = 'succeeded' THEN octet_length(result) ELSE 0 END AS "outputBytes",
   coalesce(octet_length(task), 0) AS "taskBytes"`,
  `CASE WHEN status = 'succeeded' THEN '' ELSE result END AS result`,
);

type Column<R> = readonly [
  name: string,
  type: ArrayType,
  of: (row: R) => Text | number | boolean | null,
  /** The value is never null and mostly the same in all rows of a statement. The same value is sent once. */
  common?: 'common',
];

export const PROMISE_COLUMNS: readonly Column<PromiseRow>[] = [
  ['id', 'uuid', (row) => row.id],
  ['tenant', 'text', (row) => row.tenant, 'common'],
  ['model', 'text', (row) => row.model, 'common'],
  ['version', 'text', (row) => row.version, 'common'],
  ['digest', 'text', (row) => row.digest, 'common'],
  ['priority', 'text', (row) => row.priority, 'common'],
  ['task', 'text', (row) => storable(row.task)],
  ['options', 'text', (row) => (row.options === null ? null : storableJson(row.options))],
  ['metadata', 'text', (row) => storable(row.metadata), 'common'],
  ['created_at', 'int8', (row) => row.createdAt],
  ['expires_at', 'int8', (row) => row.expiresAt],
  ['idempotency_hash', 'text', (row) => row.idempotencyHash],
  ['row_count', 'int4', (row) => row.rows],
  ['is_list', 'bool', (row) => row.list, 'common'],
  ['cache_use', 'text', (row) => row.cache],
];

export const TERMINAL_COLUMNS: readonly Column<TerminalRow>[] = [
  ...PROMISE_COLUMNS.map(
    (column): Column<TerminalRow> =>
      column[0] === 'task'
        ? ['task', 'text', (row) => (row.status === 'succeeded' || row.task === '' ? null : storable(row.task))]
        : column,
  ),
  ['status', 'text', (row) => row.status, 'common'],
  ['result', 'text', (row) => storableText(row.result)],
  ['started_at', 'int8', (row) => row.startedAt],
  ['completed_at', 'int8', (row) => row.completedAt],
  ['attempts', 'int4', (row) => row.attempts],
  ['opening', 'int4', (row) => row.opening, 'common'],
  ['inference_ms', 'float8', (row) => row.inferenceMs],
  ['batch_size', 'int4', (row) => row.batchSize],
  ['worker_id', 'text', (row) => row.workerId],
  ['queued_at', 'int8', (row) => row.queuedAt],
  ['batched_at', 'int8', (row) => row.batchedAt],
  ['earlier_attempts', 'text', (row) => row.earlierAttempts],
];

/** Returns an array for each column, in the order of `columns`. */
export function columnArrays<R>(columns: readonly Column<R>[], rows: readonly R[]): Buffer[] {
  return columns.map(([, type, of, common]) => {
    const [first] = rows;
    if (common && first) {
      const value = of(first);
      if (rows.every((row) => of(row) === value)) return pgArray(type, [value]);
    }
    return pgArray(type, rows.map(of));
  });
}

/** Returns the SQL of a relation `input` of the rows of columnArrays. For a shorter array `unnest` returns nulls. */
export function unnestSql<R>(columns: readonly Column<R>[]): string {
  const arrays = columns.map(([, type], at) => `$${at + 1}::${type}[]`);
  const values = columns.map(([name, , , common], at) =>
    common ? `coalesce(${name}, (${arrays[at]})[1]) AS ${name}` : name,
  );
  const names = columns.map(([name]) => name).join(', ');
  return `(SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS given (${names})) AS input`;
}

// The content of a row must never make Postgres refuse the statement, because the statement also contains rows of other tenants.
// Text must not contain U+0000. A jsonb value must contain neither U+0000 nor half a surrogate pair, even when escaped.
function storable(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '\ufffd') : text;
}

function storableText(text: Text): Text {
  if (typeof text === 'string') return storable(text);
  return text.indexOf(0) === -1 ? text : storable(text.toString());
}

function storableJson(value: unknown): string {
  return JSON.stringify(value).replace(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/gi, (match) =>
    match === '\\\\' ? match : '\ufffd',
  );
}
