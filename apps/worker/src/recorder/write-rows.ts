/**
 * Writes rows into the ledger so that an invalid row does not block other rows: a failed statement is repeated in halves, down to
 * single rows. While Postgres itself is unreachable, the same rows are tried again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import type { Logger } from 'pino';

const RETRY_MS = 250;
const RETRY_MAX_MS = 2_000;
/** After this many broken connections with the same rows, while Postgres responds to other queries, the rows are the cause. */
const BROKEN_MAX = 3;

export interface WriteDeps {
  record(rows: TerminalRow[]): Promise<Recorded>;
  /** Whether Postgres responds at all. */
  postgresResponds(): Promise<boolean>;
  /** Receives the result of each committed statement. */
  onWritten(recorded: Recorded, rows: readonly TerminalRow[]): Promise<void>;
  closed(): boolean;
  log: Logger;
}

/** A row that could not be written. */
export interface Unwritten {
  row: TerminalRow;
  reason: string;
  /** Postgres refused the data of the row, and would refuse the same row again. */
  refused: boolean;
}

/**
 * Resolves when every row is written or has failed, and returns the failed rows. With `split` false a failed statement is not
 * repeated in halves, and all its rows count as failed. Rejects only after `closed` returns true.
 */
export async function writeRows(deps: WriteDeps, rows: TerminalRow[], { split = true } = {}): Promise<Unwritten[]> {
  const { record, postgresResponds, onWritten, closed, log } = deps;
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
      if (isAboutRows(error, tries) && (await postgresResponds())) {
        const reason = error instanceof Error ? error.message : String(error);
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

// Errors of the server: read-only, full, out of connections, stopping, starting, a lock, a deadlock. Smaller statements also fail.
const OF_THE_SERVER = /^(?:08|25|40|53|55|57P|58)/;

/** Whether fewer rows may succeed: after a time-out, after a statement that was too large, and after unknown errors. */
function isAboutRows(error: unknown, tries: number): boolean {
  const message = error instanceof Error ? error.message : '';
  const code = error instanceof Error && 'code' in error ? String(error.code ?? '') : '';
  if (OF_THE_SERVER.test(code)) return false;
  const broken = /^E[A-Z]{3}/.test(code) || /Connection terminated/i.test(message);
  return !broken || tries >= BROKEN_MAX;
}
