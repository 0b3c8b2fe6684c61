/** Records terminal statuses in the ledger, with their events and webhook deliveries. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { sharedNow } from '../postgres/clock.ts';
import type { Db } from '../postgres/db.ts';
import { errorCodeOf } from '../postgres/error-code.ts';
import { firstRow } from '../postgres/first-row.ts';
import { API_VERSION, EVENT_ERROR_BYTES } from '../predictions/event-constants.ts';
import { baseOf, type TerminalStatus } from '../predictions/prediction.ts';
import {
  columnArrays,
  type LedgerRow,
  type TasklessRow,
  TERMINAL_COLUMNS,
  type TerminalRow,
  unnestSql,
} from './ledger-rows.ts';

/** A webhook delivery that was written and is due now. */
export interface NewDelivery {
  id: string;
  /** The id of the event, which is the `webhook-id`. */
  event: string;
  tenant: string;
  /** Null when the prediction contains the address. */
  endpoint: string | null;
  url: string;
  type: string;
  prediction: string;
}

export interface Recorded {
  /** Number of rows that this call made terminal. */
  applied: number;
  /** Ids whose rows are unchanged: recorded before, or followed by a later attempt. */
  refused: string[];
  deliveries: NewDelivery[];
  /** Rows that Postgres cannot store, with the reason; the other rows were written. */
  unstorable: { id: string; reason: string }[];
}

// An insert is the first record of a prediction whose caller waited. A conflict is a promise that ends now, or a repetition. Each
// opening of a prediction ends once: the statement refuses an end of an earlier opening than the opening of the row, and a second
// end of the same opening.
//
// Processes of 0.1.0 retry a prediction without a new opening number. A late copy of the end that such a retry undid may have the
// same `attempts` as a cancellation of the retry: the time distinguishes the two ends. Such a retry can also precede the record
// of the end that the retry undoes. Each retry sets a later deadline. For this reason the row takes the earlier deadline when its
// end is recorded, and an end of the same opening with a later deadline is the end of the retry and gets the next opening number.
const UNNUMBERED = `excluded.opening = 0 AND p.opening = 0 AND p.status NOT IN ('queued', 'running') AND excluded.expires_at > p.expires_at`;
/** The data of the event of a row `s`: the same JSON as `predictionData` of webhooks/event.ts. */
const PUBLIC_ID = `'pred_' || replace(s.id::text, '-', '')`;
const EVENT_DATA = `'{"id":"' || ${PUBLIC_ID} || '","model":' || to_json(s.model) || ',"version":' || to_json(s.version)
         || ',"status":"' || split_part(s.type, '.', 2) || '","opening":' || s.opening || ',"error":'
         || CASE WHEN s.type = 'prediction.succeeded' THEN 'null' ELSE coalesce(s.error,
              '{"type":"urn:millrace:error:' || coalesce(s.error_code, 'internal') || '","code":"' || coalesce(s.error_code, 'internal') || '"}') END
         || ',"created_at":' || millrace_json_time(s.created_at) || ',"completed_at":' || millrace_json_time(s.completed_at)
         || ',"metadata":' || coalesce(nullif(s.metadata, ''), 'null')
         || ',"url":' || to_json($BASE || '/v1/predictions/' || ${PUBLIC_ID}) || '}'`;
const setSql = (result: string, options: string): string => `
    SET status = excluded.status, result = ${result}, started_at = excluded.started_at,
        completed_at = excluded.completed_at, attempts = excluded.attempts, inference_ms = excluded.inference_ms,
        batch_size = excluded.batch_size, worker_id = excluded.worker_id, batched_at = excluded.batched_at,
        queued_at = coalesce(excluded.queued_at, p.queued_at), recorded_at = $NOW,
        earlier_attempts = coalesce(excluded.earlier_attempts, p.earlier_attempts),
        opening = CASE WHEN ${UNNUMBERED} THEN p.opening + 1 ELSE excluded.opening END,
        expires_at = CASE WHEN ${UNNUMBERED} THEN excluded.expires_at
                          WHEN p.opening = 0 AND excluded.opening = 0 THEN least(p.expires_at, excluded.expires_at)
                          ELSE p.expires_at END,
        allowance_ms = CASE WHEN ${UNNUMBERED} THEN coalesce(p.allowance_ms, p.expires_at - p.created_at) ELSE p.allowance_ms END,
        superseded_at = CASE WHEN ${UNNUMBERED} THEN p.completed_at ELSE p.superseded_at END,
        task = CASE WHEN excluded.status = 'succeeded' THEN NULL ELSE coalesce(p.task, excluded.task) END,
        options = coalesce(p.options, ${options}), cache_use = coalesce(excluded.cache_use, p.cache_use),
        staged_output = NULL, staged_opening = NULL, staged_attempt = NULL`;
const MAY_END = `
    WHERE p.status <> 'succeeded'
      AND CASE
        WHEN excluded.opening <> p.opening THEN excluded.opening > p.opening
        WHEN p.status NOT IN ('queued', 'running') THEN ${UNNUMBERED}
        ELSE p.opening > 0 OR p.superseded_at IS NULL OR excluded.attempts > p.attempts
          OR (excluded.attempts = p.attempts AND excluded.completed_at > p.superseded_at)
      END`;
const INSERT_OR_END = `
  INSERT INTO predictions AS p (${TERMINAL_COLUMNS.map(([name]) => name).join(', ')}, promised, recorded_at)
  SELECT ${TERMINAL_COLUMNS.map(([name]) => (name === 'options' ? 'options::jsonb' : name)).join(', ')}, false, $NOW
    FROM input
  ON CONFLICT (id) DO UPDATE ${setSql('excluded.result', 'excluded.options')} ${MAY_END}`;
// For one row whose output is staged by the run that ended. Without the row, or with the output of another run, the statement writes
// nothing: the recorder then drops the live state, and the prediction is computed again.
const END_STAGED = `
  UPDATE predictions AS p ${setSql('p.staged_output', 'excluded.options::jsonb')}
    FROM input AS excluded ${MAY_END}
      AND p.id = ($1::uuid[])[1] AND p.id = excluded.id AND p.status IN ('queued', 'running') AND excluded.status = 'succeeded'
      AND p.opening = excluded.opening AND p.staged_opening = excluded.opening AND p.staged_attempt = excluded.attempts
      AND octet_length(p.staged_output) = $BYTES`;
const recordSql = (applied: string): string =>
  `
WITH input AS (
  SELECT * FROM ${unnestSql(TERMINAL_COLUMNS)}
), applied AS (
  ${applied}
  RETURNING p.id, p.tenant, p.model, p.version, 'prediction.' || p.status AS type, p.options, p.opening, p.completed_at,
            p.created_at, p.metadata, CASE WHEN p.status <> 'succeeded' THEN substring(p.result FROM '"code":"([a-z_]+)"') END AS error_code,
            CASE WHEN p.status <> 'succeeded' AND octet_length(p.result) <= ${EVENT_ERROR_BYTES} THEN nullif(p.result, '') END AS error
), registered AS (
  -- A disabled endpoint gets no delivery. The event is in the feed, where the owner finds the event later.
  SELECT a.id, e.id AS endpoint, CASE WHEN e.state = 'enabled' THEN e.url END AS url
    FROM applied a
    JOIN webhook_endpoints e ON e.tenant = a.tenant
     AND (e.models = '{}' OR a.model = ANY (e.models)) AND (e.events = '{}' OR a.type = ANY (e.events) OR split_part(a.type, '.', 1) || '.*' = ANY (e.events))
), targets AS (
  SELECT * FROM registered
  UNION ALL
  -- An address that is also registered for the event gets one delivery, signed with the secret of its endpoint.
  SELECT a.id, NULL::uuid, a.options->'webhook'->>'url'
    FROM applied a
   WHERE a.options->'webhook'->>'url' IS NOT NULL
     AND (coalesce(a.options->'webhook'->'events', '[]') = '[]' OR a.options->'webhook'->'events' ? a.type)
     AND NOT EXISTS (SELECT FROM registered r WHERE r.id = a.id AND r.url = a.options->'webhook'->>'url')
), sources AS (
  SELECT a.*, millrace_uuid7($NOW) AS event,
         row_number() OVER (PARTITION BY a.tenant ORDER BY a.id) AS number, count(*) OVER (PARTITION BY a.tenant) AS total
    FROM applied a
   WHERE a.id IN (SELECT id FROM targets)
), counted AS (
  INSERT INTO event_counters AS c (tenant, last)
  SELECT tenant, max(total) FROM sources GROUP BY tenant ORDER BY tenant
  ON CONFLICT (tenant) DO UPDATE SET last = c.last + excluded.last
  RETURNING tenant, last
), event_rows AS (
  INSERT INTO events (id, tenant, sequence, type, prediction, model, version, created_at, opening, completed_at, error_code, body)
  SELECT s.event, s.tenant, c.last - s.total + s.number, s.type, s.id, s.model, s.version, $NOW, s.opening, s.completed_at,
         s.error_code, millrace_event_body(s.event, s.type, $NOW, '${API_VERSION}', s.tenant, ${EVENT_DATA})
    FROM sources s JOIN counted c USING (tenant)
), delivery_rows AS (
  INSERT INTO webhook_deliveries (id, tenant, event, endpoint, url, type, prediction, next_at, created_at)
  SELECT millrace_uuid7($NOW), s.tenant, s.event, t.endpoint, t.url, s.type, s.id, $NOW, $NOW
    FROM targets t JOIN sources s USING (id)
   WHERE t.url IS NOT NULL
  RETURNING id, event, tenant, endpoint, url, type, prediction
)
SELECT (SELECT count(*) FROM applied)::int AS applied,
       ARRAY(SELECT i.id::text FROM unnest($1::uuid[]) i (id) WHERE NOT EXISTS
         (SELECT FROM applied a WHERE a.id = i.id)) AS refused,
       coalesce((SELECT json_agg(d) FROM delivery_rows d), '[]') AS deliveries
`
    .replaceAll('$NOW', `$${TERMINAL_COLUMNS.length + 1}::bigint`)
    .replaceAll('$BASE', `$${TERMINAL_COLUMNS.length + 2}::text`)
    .replaceAll('$BYTES', `$${TERMINAL_COLUMNS.length + 3}::bigint`);
const RECORD = recordSql(INSERT_OR_END);
const RECORD_STAGED = recordSql(END_STAGED);

// Malformed data and broken constraints: the same rows would fail again. All other errors are faults of the server.
const ROW_FAULT = /^2[23]/;

/**
 * Writes terminal statuses in one atomic statement, with events and deliveries for predictions with a webhook and for tenants with
 * matching endpoints. Safe to repeat. A row that cannot be stored is left out and reported; the other rows are then written in
 * several such statements.
 */
export async function recordTerminal(
  db: Db,
  rows: readonly TerminalRow[],
  { nowMs = sharedNow(), publicUrl }: RecordOptions = {},
): Promise<Recorded> {
  const recorded: Recorded = { applied: 0, refused: [], deliveries: [], unstorable: [] };
  const base = baseOf(publicUrl);
  for (const round of roundsOf(rows)) {
    const isStaged = (row: TerminalRow) => row.ledgerOutput !== undefined;
    await recordInto(db, { recorded, rows: round.filter((row) => !isStaged(row)), nowMs, base });
    for (const row of round.filter(isStaged)) await recordInto(db, { recorded, rows: [row], nowMs, base });
  }
  return recorded;
}

/** The rows that the call wrote, each end once. */
export function writtenEnds(rows: readonly TerminalRow[], { refused, unstorable }: Recorded): TerminalRow[] {
  const left = new Set([...refused, ...unstorable.map(({ id }) => id)]);
  const written = new Map<string, TerminalRow>();
  for (const row of rows) if (!left.has(row.id)) written.set(`${row.id} ${row.opening}`, row);
  return [...written.values()];
}

export interface RecordOptions {
  nowMs?: number;
  /** The base URL of the API in events. Without a URL, events have paths. */
  publicUrl?: string | undefined;
}

interface RecordParams {
  /** The result, to which the function adds. */
  recorded: Recorded;
  rows: readonly TerminalRow[];
  nowMs: number;
  base: string;
}

async function recordInto(db: Db, { recorded, rows, nowMs, base }: RecordParams): Promise<void> {
  if (rows.length === 0) return;
  try {
    const values = [...columnArrays(TERMINAL_COLUMNS, rows), nowMs, base];
    // The driver copies the values of a statement. For long results the copy runs in its own turn of the event loop.
    if (rows.some(({ result }) => typeof result !== 'string')) await nextTurn();
    const staged = rows[0]?.ledgerOutput;
    const statement = staged
      ? { name: 'record-staged', text: RECORD_STAGED, values: [...values, staged.bytes] }
      : { name: 'record-terminal', text: RECORD, values };
    const { rows: results } = await db.query(statement);
    const { applied, refused, deliveries } = firstRow(results);
    recorded.applied += applied;
    recorded.refused.push(...refused);
    recorded.deliveries.push(...deliveries);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!(error instanceof RangeError) && !ROW_FAULT.test(errorCodeOf(error) ?? '')) throw error;
    const [row] = rows;
    if (row !== undefined && rows.length === 1) {
      recorded.unstorable.push({ id: row.id, reason: error.message });
      return;
    }
    const half = rows.length >> 1;
    await recordInto(db, { recorded, rows: rows.slice(0, half), nowMs, base });
    await recordInto(db, { recorded, rows: rows.slice(half), nowMs, base });
  }
}

/**
 * Splits the rows into rounds, nearly always into a single round. A statement may write a row of the ledger only once, and the
 * ends of a prediction are written in the order of its openings. Of several ends of one opening, the end with the highest attempt
 * counts, and of equal attempts the first end. Each round is in the order of ids, so that two recorders with the same rows do not
 * deadlock.
 */
function roundsOf(rows: readonly TerminalRow[]): TerminalRow[][] {
  const rounds: Map<string, TerminalRow>[] = [];
  for (const row of rows) place(rounds, row, 0);
  return rounds.map((round) => [...round.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
}

/**
 * Puts a row into the first round, from round `at`, in which the prediction has no earlier end. A later end in this round moves to
 * the next round.
 */
function place(rounds: Map<string, TerminalRow>[], row: TerminalRow, at: number): void {
  const round = rounds[at] ?? new Map<string, TerminalRow>();
  rounds[at] = round;
  const placed = round.get(row.id);
  if (placed === undefined) round.set(row.id, row);
  else if (placed.opening < row.opening) place(rounds, row, at + 1);
  else if (placed.opening > row.opening) {
    round.set(row.id, row);
    place(rounds, placed, at + 1);
  } else if (row.attempts > placed.attempts) round.set(row.id, row);
}

export interface Outcome {
  status: Exclude<TerminalStatus, 'succeeded'>;
  /** JSON text of the error (a problem). */
  result: string;
  completedAt: number;
  /** Default: the attempts in the ledger. */
  attempts?: number;
  /** As in RecordOptions. */
  publicUrl?: string | undefined;
}

/** Ends an open prediction in the ledger. Returns false when the prediction is terminal, unknown or of another tenant. */
export async function markTerminal(db: Db, row: LedgerRow | TasklessRow, outcome: Outcome): Promise<boolean> {
  // With an empty task the ledger keeps its task.
  const task = ('task' in row ? row.task : null) ?? '';
  const { publicUrl, ...end } = outcome;
  const ended: TerminalRow = { ...row, task, ...end, attempts: end.attempts ?? row.attempts };
  const { applied } = await recordTerminal(db, [ended], { publicUrl });
  return applied === 1;
}
