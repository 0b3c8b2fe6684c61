/** Terminal states into the ledger, with the events and webhook deliveries that follow from them. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { sharedNow } from '../postgres/clock.ts';
import type { Db } from '../postgres/db.ts';
import type { TerminalStatus } from '../predictions/prediction.ts';
import {
  columnArrays,
  type LedgerRow,
  type TasklessRow,
  TERMINAL_COLUMNS,
  type TerminalRow,
  unnestSql,
} from './ledger-rows.ts';

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
// a repetition. Each opening of a prediction ends once: an end of an earlier opening than the row's, or a second one of the
// same opening, is refused. Processes of 0.1.0 open a row again without a new number: a late copy of the end that such a
// retry undid has the attempts that a cancellation of the new one would have, and is told by its time. Such a retry may come
// before the end that it undoes is recorded. Each retry sets a later deadline: so the row gets an earlier deadline of its end, and an
// end of the same number with a later deadline is the end of that retry, and gets the next number.
const UNNUMBERED = `excluded.opening = 0 AND p.opening = 0 AND p.status NOT IN ('queued', 'running') AND excluded.expires_at > p.expires_at`;
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
        opening = CASE WHEN ${UNNUMBERED} THEN p.opening + 1 ELSE excluded.opening END,
        expires_at = CASE WHEN ${UNNUMBERED} THEN excluded.expires_at
                          WHEN p.opening = 0 AND excluded.opening = 0 THEN least(p.expires_at, excluded.expires_at)
                          ELSE p.expires_at END,
        allowance_ms = CASE WHEN ${UNNUMBERED} THEN coalesce(p.allowance_ms, p.expires_at - p.created_at) ELSE p.allowance_ms END,
        superseded_at = CASE WHEN ${UNNUMBERED} THEN p.completed_at ELSE p.superseded_at END,
        task = CASE WHEN excluded.status = 'succeeded' THEN NULL ELSE coalesce(p.task, excluded.task) END,
        options = coalesce(p.options, excluded.options)
    WHERE p.status <> 'succeeded'
      AND CASE
        WHEN excluded.opening <> p.opening THEN excluded.opening > p.opening
        WHEN p.status NOT IN ('queued', 'running') THEN ${UNNUMBERED}
        ELSE p.opening > 0 OR p.superseded_at IS NULL OR excluded.attempts > p.attempts
          OR (excluded.attempts = p.attempts AND excluded.completed_at > p.superseded_at)
      END
  RETURNING p.id, p.tenant, p.model, p.version, 'prediction.' || p.status AS type, p.options, p.opening, p.completed_at,
            CASE WHEN p.status <> 'succeeded' THEN substring(p.result FROM '"code":"([a-z_]+)"') END AS error_code
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
  INSERT INTO events (id, tenant, sequence, type, prediction, model, version, created_at, opening, completed_at, error_code)
  SELECT s.event, s.tenant, c.last - s.total + s.number, s.type, s.id, s.model, s.version, $NOW, s.opening, s.completed_at,
         s.error_code
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
  for (const round of roundsOf(rows)) await recordInto(recorded, db, round, nowMs);
  return recorded;
}

async function recordInto(recorded: Recorded, db: Db, rows: readonly TerminalRow[], nowMs: number): Promise<void> {
  if (rows.length === 0) return;
  try {
    const values = [...columnArrays(TERMINAL_COLUMNS, rows), nowMs];
    // The driver copies what it sends: long results get a turn of the event loop for that.
    if (rows.some(({ result }) => typeof result !== 'string')) await nextTurn();
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
 * The rows in rounds, nearly always one: a statement may touch a row of the ledger once, and the ends of a prediction are
 * written in the order of its openings. Of several ends of one opening the highest attempt counts, of equal ones the first.
 * Within a round in the order of ids, so that two recorders that meet the same rows do not wait for each other in a circle.
 */
function roundsOf(rows: readonly TerminalRow[]): TerminalRow[][] {
  const rounds: Map<string, TerminalRow>[] = [];
  for (const row of rows) place(rounds, row, 0);
  return rounds.map((round) => [...round.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
}

/** Puts a row into the first round from `at` on that has no earlier end of the same prediction; a later one moves on. */
function place(rounds: Map<string, TerminalRow>[], row: TerminalRow, at: number): void {
  const round = rounds[at] ?? new Map<string, TerminalRow>();
  rounds[at] = round;
  const there = round.get(row.id);
  if (there === undefined) round.set(row.id, row);
  else if (there.opening < row.opening) place(rounds, row, at + 1);
  else if (there.opening > row.opening) {
    round.set(row.id, row);
    place(rounds, there, at + 1);
  } else if (row.attempts > there.attempts) round.set(row.id, row);
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
export async function markTerminal(db: Db, row: LedgerRow | TasklessRow, outcome: Outcome): Promise<boolean> {
  // Without a task the row keeps the task that the ledger has.
  const task = ('task' in row ? row.task : null) ?? '';
  const { applied } = await recordTerminal(db, [
    { ...row, task, ...outcome, attempts: outcome.attempts ?? row.attempts },
  ] as TerminalRow[]);
  return applied === 1;
}
