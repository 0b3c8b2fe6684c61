/** Terminal states into the ledger, with the events and webhook deliveries that follow from them. */

import type { Db } from './db.ts';
import { columnArrays, type LedgerRow, TERMINAL_COLUMNS, type TerminalRow, unnestSql } from './ledger-rows.ts';
import { sharedNow } from './postgres/clock.ts';
import type { TerminalStatus } from './prediction.ts';

/** A webhook delivery that is due now, as it was written. */
export interface NewDelivery {
  id: string;
  /** Its event's id, which is the `webhook-id`. */
  event: string;
  tenant: string;
  /** Null where the prediction named the address itself. */
  endpoint: string | null;
  url: string;
  type: string;
  prediction: string;
}

export interface Recorded {
  /** Rows that are terminal by this call. */
  applied: number;
  /** Ids that stayed as they were: recorded before, or overtaken by a later attempt. */
  refused: string[];
  deliveries: NewDelivery[];
  /** Rows that Postgres cannot hold, and why; the others were written. */
  unstorable: { id: string; reason: string }[];
}

// An insert becomes the first record of a prediction whose caller waited; a conflict is a promise that is now kept, or
// a repetition. What is terminal stays, but for the higher attempt of a retry. After a retry the attempt before it has
// the number that a cancellation of the new one would have, so that its late copy is told by its time.
const RECORD = `
WITH input AS (
  SELECT * FROM ${unnestSql(TERMINAL_COLUMNS)}
), applied AS (
  INSERT INTO predictions AS p (${TERMINAL_COLUMNS.map(([name]) => name).join(', ')}, promised)
  SELECT ${TERMINAL_COLUMNS.map(([name]) => (name === 'options' ? 'options::jsonb' : name)).join(', ')}, false
    FROM input
  ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, result = excluded.result, started_at = excluded.started_at,
        completed_at = excluded.completed_at, attempts = excluded.attempts, inference_ms = excluded.inference_ms,
        batch_size = excluded.batch_size,
        task = CASE WHEN excluded.status = 'succeeded' THEN NULL ELSE coalesce(p.task, excluded.task) END,
        options = coalesce(p.options, excluded.options)
    WHERE p.status <> 'succeeded'
      AND (excluded.attempts > p.attempts
        OR (p.status IN ('queued', 'running') AND excluded.attempts = p.attempts
            AND (p.superseded_at IS NULL OR excluded.completed_at > p.superseded_at)))
  RETURNING p.id, p.tenant, p.model, p.version, 'prediction.' || p.status AS type, p.options
), registered AS (
  -- A disabled endpoint gets no delivery, and still finds the event in the feed when it is back.
  SELECT a.id, e.id AS endpoint, CASE WHEN e.state = 'enabled' THEN e.url END AS url
    FROM applied a
    JOIN webhook_endpoints e ON e.tenant = a.tenant
     AND (e.models = '{}' OR a.model = ANY (e.models)) AND (e.events = '{}' OR a.type = ANY (e.events))
), targets AS (
  SELECT * FROM registered
  UNION ALL
  -- An address that is registered for the event too gets it once, signed with the secret of its endpoint.
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
  INSERT INTO events (id, tenant, sequence, type, prediction, model, version, created_at)
  SELECT s.event, s.tenant, c.last - s.total + s.number, s.type, s.id, s.model, s.version, $NOW
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
`.replaceAll('$NOW', `$${TERMINAL_COLUMNS.length + 1}::bigint`);

// Malformed data, and broken constraints: the same rows would fail again. All else is the server's trouble.
const ROW_FAULT = /^2[23]/;

/**
 * Writes terminal states, with the events and deliveries of those whose prediction names a webhook or whose tenant has
 * endpoints for them, as one atomic statement. Safe to repeat. A row that cannot be stored is left out and reported;
 * the rest is then written in several such statements.
 */
export async function recordTerminal(
  db: Db,
  rows: readonly TerminalRow[],
  nowMs: number = sharedNow(),
): Promise<Recorded> {
  const recorded: Recorded = { applied: 0, refused: [], deliveries: [], unstorable: [] };
  await recordInto(recorded, db, lastById(rows), nowMs);
  return recorded;
}

async function recordInto(recorded: Recorded, db: Db, rows: readonly TerminalRow[], nowMs: number): Promise<void> {
  if (rows.length === 0) return;
  try {
    const values = [...columnArrays(TERMINAL_COLUMNS, rows), nowMs];
    const { rows: results } = await db.query({ name: 'record-terminal', text: RECORD, values });
    const { applied, refused, deliveries } = results[0];
    recorded.applied += applied;
    recorded.refused.push(...refused);
    recorded.deliveries.push(...deliveries);
  } catch (error) {
    const { code = '', message } = error as Error & { code?: string };
    if (!(error instanceof RangeError) && !ROW_FAULT.test(code)) throw error;
    if (rows.length === 1) {
      recorded.unstorable.push({ id: rows[0]!.id, reason: message });
      return;
    }
    const half = rows.length >> 1;
    await recordInto(recorded, db, rows.slice(0, half), nowMs);
    await recordInto(recorded, db, rows.slice(half), nowMs);
  }
}

/**
 * One row for an id, as a statement may touch a row once: of several the highest attempt, and of equal ones the first.
 * In the order of ids, so that two recorders that meet the same rows do not wait for each other in a circle.
 */
function lastById(rows: readonly TerminalRow[]): TerminalRow[] {
  const byId = new Map<string, TerminalRow>();
  for (const row of rows) {
    const other = byId.get(row.id);
    if (other === undefined || row.attempts > other.attempts) byId.set(row.id, row);
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

export interface Outcome {
  status: Exclude<TerminalStatus, 'succeeded'>;
  /** JSON text of the error (a problem). */
  result: string;
  completedAt: number;
  /** That of the ledger where it is not known. */
  attempts?: number;
}

/** Ends one prediction that the ledger has open. Whether it did: not when it is terminal, unknown or of another tenant. */
export async function markTerminal(db: Db, row: LedgerRow, outcome: Outcome): Promise<boolean> {
  const { applied } = await recordTerminal(db, [
    { ...row, task: row.task ?? '', ...outcome, attempts: outcome.attempts ?? row.attempts },
  ] as TerminalRow[]);
  return applied === 1;
}
