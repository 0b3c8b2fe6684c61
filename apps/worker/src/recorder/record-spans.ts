/** The spans of ends that were recorded: one in the trace of each prediction whose trace is recorded. */

import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { isSampled } from '@millrace/shared/tracing/trace-context';
import { errorOf, type Tracing } from '@millrace/shared/tracing/tracing';

/** Writes rows as `record` does, and the spans of the rows. */
export async function recordTraced(
  tracing: Tracing,
  rows: readonly TerminalRow[],
  record: () => Promise<Recorded>,
): Promise<Recorded> {
  const startMs = sharedNow();
  try {
    const recorded = await record();
    const left = new Set([...recorded.refused, ...recorded.unstorable.map(({ id }) => id)]);
    for (const row of rows) {
      if (left.has(row.id) || !row.options?.trace || !isSampled(row.options.trace)) continue;
      writeSpan(tracing, { row, startMs, count: rows.length });
      writeLostAttempt(tracing, row);
    }
    return recorded;
  } catch (error) {
    for (const row of rows) writeSpan(tracing, { row, startMs, count: rows.length, error });
    throw error;
  }
}

interface WrittenRow {
  row: TerminalRow;
  startMs: number;
  count: number;
  error?: unknown;
}

function writeSpan(tracing: Tracing, { row, startMs, count, error }: WrittenRow): void {
  const parent = row.options?.trace;
  if (parent === undefined || !isSampled(parent)) return;
  tracing.record('record', {
    parent,
    startMs,
    attributes: {
      'millrace.prediction.id': publicId('pred', row.id),
      'millrace.model': row.model,
      'millrace.status': row.status,
      'millrace.attempt': row.attempts,
      'millrace.cache': row.cache ?? '',
      'db.system.name': 'postgresql',
      'db.operation.batch.size': count,
    },
    ...(error === undefined ? {} : { error: errorOf(error) }),
  });
}

/** The last attempt of a prediction that was lost too often: no later worker has written the span of this attempt. */
function writeLostAttempt(tracing: Tracing, row: TerminalRow): void {
  if (row.status !== 'failed' || !String(row.result).includes('"code":"worker_lost"')) return;
  const attempts: unknown = JSON.parse(row.earlierAttempts ?? '[]');
  const last: unknown = Array.isArray(attempts) ? attempts.at(-1) : undefined;
  if (!Array.isArray(last) || typeof last[2] !== 'number') return;
  tracing.record(`process ${row.model}`, {
    kind: 'consumer',
    parent: row.options?.trace,
    startMs: last[2],
    endMs: row.completedAt,
    attributes: {
      'millrace.prediction.id': publicId('pred', row.id),
      'millrace.model': row.model,
      'millrace.version': row.version,
      'millrace.attempt': Number(last[0]),
      'millrace.worker.id': String(last[1]),
    },
    error: { type: 'worker_lost', message: 'The worker ended during the attempt.' },
  });
}
