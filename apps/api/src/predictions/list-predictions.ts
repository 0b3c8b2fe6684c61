/**
 * Lists predictions from the ledger, newest first. What is open there is told as Redis has it, which knows more. Outputs are
 * read only for a caller who asks for them, and a page ends where its outputs reach OUTPUT_BYTES.
 */
import type { ListedRow, ListOptions } from '@millrace/shared/ledger/ledger';
import type { LiveHead, LiveStore } from '@millrace/shared/live/store';
import { isTerminal, type PredictionRecord, type Status } from '@millrace/shared/predictions/prediction';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { fromStore } from '../stores/store-errors.ts';

/** Pages of the ledger that one request looks through for those that run among those that are open. */
const PAGES_MAX = 5;
/** Bytes of outputs in one page; a larger output is a page alone. */
const OUTPUT_BYTES = 4 * 1_048_576;

export interface ListRequest {
  model?: string;
  status?: Status;
  limit: number;
  cursor?: string;
  /** `output`: each record has its output. */
  include?: 'output';
}

export interface Page {
  /** Without the outputs of those that succeeded unless the request includes them: `result` is then ''. */
  records: PredictionRecord[];
  /** Of the page after this one; null when this is the last. */
  next: string | null;
}

/** Throws `invalid_cursor`. A page may have fewer than `limit` and still a next one. */
export type Listing = (tenant: string, request: ListRequest) => Promise<Page>;

export interface ListingDeps {
  live: Pick<LiveStore, 'heads' | 'read'>;
  readLedger(tenant: string, options: ListOptions): Promise<ListedRow[]>;
  /** JSON text of outputs that the ledger has, by id. */
  readOutputs(tenant: string, ids: readonly string[]): Promise<Map<string, string>>;
}

/** A record, its place in the ledger, and how large its output is. */
interface Listed {
  record: PredictionRecord;
  outputBytes: number;
  /** Whether Redis has the output and the ledger does not yet. */
  inRedis: boolean;
}

export function createListing(deps: ListingDeps): Listing {
  const { live, readLedger } = deps;

  return async function list(tenant, { model, status, limit, cursor, include }) {
    const name = JSON.stringify([tenant, model ?? null, status ?? null]);
    let before = cursor === undefined ? undefined : decodeCursor(name, cursor);
    // The ledger does not know which of its open predictions run.
    const open = status === 'queued' || status === 'running';
    const listed: Listed[] = [];
    let bytes = 0;
    const page = async (next: string | null): Promise<Page> => {
      if (include === 'output') await addOutputs(deps, tenant, listed);
      return { records: listed.map(({ record }) => record), next };
    };
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
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
      for (const [at, one] of shown.entries()) {
        const wanted = !open || one.record.status === status;
        if (wanted && include === 'output' && listed.length > 0 && bytes + one.outputBytes > OUTPUT_BYTES)
          return page(encodeCursor(name, before as string));
        before = (rows[at] as ListedRow).id;
        if (wanted) {
          listed.push(one);
          bytes += one.outputBytes;
        }
        if (listed.length === limit && (at < shown.length - 1 || rows.length > limit))
          return page(encodeCursor(name, before));
      }
      if (rows.length <= limit) return page(null);
    }
    return page(before === undefined ? null : encodeCursor(name, before));
  };
}

async function asOfNow(live: ListingDeps['live'], rows: readonly ListedRow[]): Promise<Listed[]> {
  const open = rows.filter(({ status }) => !isTerminal(status));
  // Without Redis the ledger's word is the best there is.
  const heads = open.length === 0 ? [] : await live.heads(open.map(({ id }) => id)).catch(() => []);
  const byId = new Map(heads.flatMap((head): [string, LiveHead][] => (head ? [[head.id, head]] : [])));
  return rows.map((row) => {
    const head = byId.get(row.id);
    if (!head) return { record: row, outputBytes: row.outputBytes, inRedis: false };
    const record = head.status === 'succeeded' ? { ...head, result: '' } : head;
    return { record, outputBytes: head.status === 'succeeded' ? head.bytes : 0, inRedis: true };
  });
}

/** Puts the outputs into the records of those that succeeded. What has gone from Redis since is in the ledger by then. */
async function addOutputs(deps: ListingDeps, tenant: string, listed: readonly Listed[]): Promise<void> {
  const succeeded = listed.filter(({ record }) => record.status === 'succeeded');
  const missing: PredictionRecord[] = [];
  for (const { record, inRedis } of succeeded) {
    const state = inRedis ? await fromStore('Redis', deps.live.read(record.id)) : null;
    if (state?.status === 'succeeded') record.result = state.result;
    else missing.push(record);
  }
  if (missing.length === 0) return;
  const ids = missing.map(({ id }) => id);
  const outputs = await fromStore('Postgres', deps.readOutputs(tenant, ids));
  for (const record of missing) record.result = outputs.get(record.id) ?? 'null';
}
