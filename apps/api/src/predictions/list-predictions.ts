/**
 * Lists predictions from the ledger, newest first. Open predictions have their state from Redis, which is newer. Outputs are
 * read only for a request that includes them, and a page ends where its outputs reach OUTPUT_BYTES.
 */
import type { ListedRow, ListOptions } from '@millrace/shared/ledger/ledger';
import { predictionOfRow, predictionOfState } from '@millrace/shared/ledger/terminal-row';
import type { LiveHead, LiveStore } from '@millrace/shared/live/store';
import { isTerminal, type Prediction, type Status } from '@millrace/shared/predictions/prediction';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { fromStore } from '../stores/store-errors.ts';

/** The most pages of the ledger that one request reads, to find the running predictions among the open predictions. */
const PAGES_MAX = 5;
/** The most bytes of outputs in one page. A larger output is a page alone. */
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
  /** Without `include`, the `result` of a succeeded prediction is ''. */
  records: Prediction[];
  /** The cursor of the next page; null on the last page. */
  next: string | null;
}

/** Throws `invalid_cursor`. A page with fewer records than `limit` may have a next page. */
export type ListPredictions = (tenant: string, request: ListRequest) => Promise<Page>;

export interface ListDeps {
  live: Pick<LiveStore, 'heads' | 'read'>;
  readLedger(tenant: string, options: ListOptions): Promise<ListedRow[]>;
  /** Returns the JSON text of outputs from the ledger, by id. */
  readOutputs(tenant: string, ids: readonly string[]): Promise<Map<string, string>>;
}

/** A record and the size of its output. */
interface Listed {
  record: Prediction;
  outputBytes: number;
  /** Whether the record is from Redis, because the ledger may not have its end yet. */
  inRedis: boolean;
}

export function createListPredictions(deps: ListDeps): ListPredictions {
  const { live, readLedger } = deps;

  return async function list(tenant, { model, status, limit, cursor, include }) {
    const name = JSON.stringify([tenant, model ?? null, status ?? null]);
    let before = cursor === undefined ? undefined : decodeCursor(name, cursor);
    // The ledger does not store which open predictions are running.
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
      const shown = await withLiveStates(live, rows.slice(0, limit));
      for (const [at, one] of shown.entries()) {
        const wanted = !open || one.record.status === status;
        if (
          wanted &&
          include === 'output' &&
          before !== undefined &&
          listed.length > 0 &&
          bytes + one.outputBytes > OUTPUT_BYTES
        )
          return page(encodeCursor(name, before));
        before = one.record.id;
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

async function withLiveStates(live: ListDeps['live'], rows: readonly ListedRow[]): Promise<Listed[]> {
  const open = rows.filter(({ status }) => !isTerminal(status));
  // While Redis does not respond, the page has the states of the ledger.
  const heads = open.length === 0 ? [] : await live.heads(open.map(({ id }) => id)).catch(() => []);
  const byId = new Map(heads.flatMap((head): [string, LiveHead][] => (head ? [[head.id, head]] : [])));
  return rows.map((row) => {
    const head = byId.get(row.id);
    if (!head) return { record: predictionOfRow(row), outputBytes: row.outputBytes, inRedis: false };
    const state = predictionOfState(head);
    const record = head.status === 'succeeded' ? { ...state, result: '' } : state;
    return { record, outputBytes: head.status === 'succeeded' ? head.bytes : 0, inRedis: true };
  });
}

/** Reads the outputs of the succeeded predictions. An output that Redis discarded meanwhile is in the ledger. */
async function addOutputs(deps: ListDeps, tenant: string, listed: readonly Listed[]): Promise<void> {
  const succeeded = listed.filter(({ record }) => record.status === 'succeeded');
  const missing: Prediction[] = [];
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
