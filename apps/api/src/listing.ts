/** Lists predictions from the ledger, newest first. What is open there is told as Redis has it, which knows more. */
import type { LedgerRow, ListOptions } from '@millrace/shared/ledger';
import type { LiveStore } from '@millrace/shared/live/store';
import { isTerminal, type PredictionRecord, type Status } from '@millrace/shared/prediction';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { fromStore } from './stores.ts';

/** Pages of the ledger that one request looks through for those that run among those that are open. */
const PAGES_MAX = 5;

export interface ListRequest {
  model?: string;
  status?: Status;
  limit: number;
  cursor?: string;
}

export interface Page {
  records: PredictionRecord[];
  /** Of the page after this one; null when this is the last. */
  next: string | null;
}

/** Throws `invalid_cursor`. A page may have fewer than `limit` and still a next one. */
export type Listing = (tenant: string, request: ListRequest) => Promise<Page>;

export function createListing(
  live: Pick<LiveStore, 'readMany'>,
  readLedger: (tenant: string, options: ListOptions) => Promise<LedgerRow[]>,
): Listing {
  return async function list(tenant, { model, status, limit, cursor }) {
    const name = JSON.stringify([tenant, model ?? null, status ?? null]);
    let before = cursor === undefined ? undefined : decodeCursor(name, cursor);
    // The ledger does not know which of its open predictions run.
    const open = status === 'queued' || status === 'running';
    const records: PredictionRecord[] = [];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const rows = await fromStore(
        'Postgres',
        readLedger(tenant, {
          limit: limit + 1,
          ...(model === undefined ? {} : { model }),
          ...(status === undefined ? {} : { status: open ? 'queued' : status }),
          ...(before === undefined ? {} : { before }),
        }),
      );
      const shown = await asOfNow(live, rows.slice(0, limit));
      for (const [at, record] of shown.entries()) {
        before = (rows[at] as LedgerRow).id;
        if (!open || record.status === status) records.push(record);
        if (records.length === limit && (at < shown.length - 1 || rows.length > limit))
          return { records, next: encodeCursor(name, before) };
      }
      if (rows.length <= limit) return { records, next: null };
    }
    return { records, next: before === undefined ? null : encodeCursor(name, before) };
  };
}

async function asOfNow(live: Pick<LiveStore, 'readMany'>, rows: readonly LedgerRow[]): Promise<PredictionRecord[]> {
  const open = rows.filter(({ status }) => !isTerminal(status));
  if (open.length === 0) return [...rows];
  // Without Redis the ledger's word is the best there is.
  const states = await live.readMany(open.map(({ id }) => id)).catch(() => []);
  const byId = new Map(states.map((state) => [state?.id, state]));
  return rows.map((row) => byId.get(row.id) ?? row);
}
