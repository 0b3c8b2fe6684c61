/**
 * The ledger as a pure state machine: record-terminal.ts, markRetried, and the way of a retry through both stores.
 * `fence` selects how an end is distinguished from an older end: by the number of its opening, or by attempts and time
 * as in 0.1.0.
 */

import { isTerminal, type Status } from '../../packages/shared/src/predictions/prediction.ts';
import type { End } from './lifecycle.ts';

export type Fence = 'openings' | 'attempts';

export interface Row {
  status: Status;
  attempts: number;
  opening: number;
  expiresAt: number | null;
  supersededAt: number | null;
  endedAt: number | null;
  /** Every written end, in order. Each end has an event in the feed and webhooks. */
  ends: End[];
}

export class Ledger {
  readonly rows = new Map<string, Row>();
  readonly #fence: Fence;

  constructor(fence: Fence) {
    this.#fence = fence;
  }

  promise(id: string, expiresAt: number | null): void {
    if (!this.rows.has(id)) this.rows.set(id, newRow(expiresAt));
  }

  /** Returns whether the end was written. */
  record(end: End): boolean {
    const row = this.rows.get(end.id) ?? newRow(null);
    if (row.status === 'succeeded' || !this.#newer(end, row)) return false;
    this.rows.set(end.id, row);
    Object.assign(row, { status: end.status, attempts: end.attempts, endedAt: end.endedAt });
    row.opening = Math.max(row.opening, end.opening);
    row.ends.push(end);
    return true;
  }

  #newer(end: End, row: Row): boolean {
    const open = !isTerminal(row.status);
    const { supersededAt } = row;
    if (this.#fence === 'openings') return end.opening === row.opening ? open : end.opening > row.opening;
    if (end.attempts !== row.attempts) return end.attempts > row.attempts;
    return open && (supersededAt === null || end.endedAt > supersededAt);
  }

  /** Reopens a row that has ended under this opening. */
  reopen(id: string, opening: number, expiresAt: number | null): boolean {
    const row = this.rows.get(id);
    if (!row || row.opening !== opening || row.status === 'succeeded' || !isTerminal(row.status)) return false;
    Object.assign(row, { status: 'queued', opening: opening + 1, supersededAt: row.endedAt, endedAt: null, expiresAt });
    return true;
  }
}

const newRow = (expiresAt: number | null): Row => ({
  ...{ status: 'queued', attempts: 0, opening: 0, expiresAt, supersededAt: null, endedAt: null, ends: [] },
});
