/**
 * Writes rows into the ledger so that no row keeps others out: a statement that fails is repeated in halves, down to single
 * rows. While Postgres itself is away the same rows are tried again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import type { Logger } from 'pino';

const RETRY_MS = 250;
const RETRY_MAX_MS = 2_000;
/** A connection that ends this often under the same rows while Postgres answers others ends because of these rows. */
const BROKEN_MAX = 3;

export interface WriteDeps {
  record(rows: TerminalRow[]): Promise<Recorded>;
  /** Whether Postgres answers at all. */
  postgresAnswers(): Promise<boolean>;
  /** Told of each statement that was committed. */
  onWritten(recorded: Recorded, rows: readonly TerminalRow[]): Promise<void>;
  closed(): boolean;
  log: Logger;
}

/** A row that could not be written. */
export interface Unwritten {
  row: TerminalRow;
  reason: string;
  /** Postgres refused the data of the row itself: the same row can never be written. */
  refused: boolean;
}

/**
 * Resolves when each row is written or was found to fail, and returns the rows that failed. With `split` false a statement
 * that fails is not repeated in halves, and all its rows count as failed. Rejects only after `closed` says true.
 */
export async function writeRows(deps: WriteDeps, rows: TerminalRow[], { split = true } = {}): Promise<Unwritten[]> {
  const { record, postgresAnswers, onWritten, closed, log } = deps;
  for (let tries = 0; rows.length > 0; tries += 1) {
    try {
      const recorded = await record(rows);
      await onWritten(recorded, rows);
      if (recorded.unstorable.length === 0) return [];
      const reasons = new Map(recorded.unstorable.map(({ id, reason }) => [id, reason]));
      return rows.flatMap((row) => {
        const reason = reasons.get(row.id);
        return reason === undefined ? [] : [{ row, reason, refused: true }];
      });
    } catch (error) {
      if (closed()) throw error;
      log.warn({ err: error, rows: rows.length }, 'the ledger cannot be written');
      if (isAboutRows(error, tries) && (await postgresAnswers())) {
        const reason = (error as Error).message;
        if (rows.length === 1 || !split) return rows.map((row) => ({ row, reason, refused: false }));
        const half = rows.length >> 1;
        const unwritten = await writeRows(deps, rows.slice(0, half));
        return [...unwritten, ...(await writeRows(deps, rows.slice(half)))];
      }
      await delay(Math.min(RETRY_MS * 2 ** tries, RETRY_MAX_MS));
    }
  }
  return [];
}

// Of Postgres as a whole: read-only, full, out of connections, stopping, starting, a lock, a deadlock. Smaller statements fail too.
const OF_THE_SERVER = /^(?:08|25|40|53|55|57P|58)/;

/** Whether the same statement with fewer rows may succeed: a time-out, a statement that is too large, anything unknown. */
function isAboutRows(error: unknown, tries: number): boolean {
  const { code = '', message = '' } = error as Error & { code?: string };
  if (OF_THE_SERVER.test(code)) return false;
  const broken = /^E[A-Z]{3}/.test(code) || /Connection terminated/i.test(message);
  return !broken || tries >= BROKEN_MAX;
}
