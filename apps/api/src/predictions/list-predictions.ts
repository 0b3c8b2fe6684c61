/**
 * Lists predictions from the ledger. Open predictions have their state from Redis, which is newer. Inputs and outputs are
 * read only for a request that includes them, and a page ends where its inputs and outputs reach PAGE_BYTES.
 */
import type { ListedRow, ListOptions, Scanned } from '@millrace/shared/ledger/ledger';
import { predictionOfRow } from '@millrace/shared/ledger/terminal-row';
import type { LiveHead, LiveStore } from '@millrace/shared/live/store';
import { isTerminal, type Prediction, type Status } from '@millrace/shared/predictions/prediction';
import { predictionOfState } from '@millrace/shared/predictions/prediction-state';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { fromStore, storeError } from '../http/store-errors.ts';
import type { WithOutput } from '../queue/ledger-outputs.ts';
import { type InputMembers, inputsOfTask } from './stored-input.ts';

/** The most reads of the ledger for one request that searches for predictions with few matches. */
const READS_MAX = 5;
/** The most bytes of inputs and outputs in one page. A larger prediction is a page alone. */
const PAGE_BYTES = 4 * 1_048_576;

export interface ListFilters {
  model?: string | undefined;
  version?: string | undefined;
  ids?: readonly string[] | undefined;
  statuses?: readonly Status[] | undefined;
  /** Only ids between these ids, which are not included. */
  after?: string | undefined;
  before?: string | undefined;
  metadata: Readonly<Record<string, string>>;
  error?: string | undefined;
  order: 'asc' | 'desc';
}

export interface ListRequest {
  filters: ListFilters;
  limit: number;
  cursor?: string | undefined;
  /** Whether each item has its output, and its input. */
  include: { output: boolean; input: boolean };
}

export interface Item {
  /** Without `include.output`, the `result` of a succeeded prediction is ''. */
  record: Prediction;
  /** Undefined without `include.input`. */
  input?: InputMembers;
}

export interface Page {
  items: Item[];
  /** The cursor of the next page; null on the last page. */
  next: string | null;
}

/** Throws `invalid_cursor`. A page with fewer records than `limit` may have a next page. */
export type ListPredictions = (tenant: string, request: ListRequest) => Promise<Page>;

export interface ListDeps {
  live: Pick<LiveStore, 'heads' | 'read'>;
  withOutput: WithOutput;
  readLedger(tenant: string, options: ListOptions): Promise<Scanned>;
  /** Returns the JSON text of outputs from the ledger, by id. */
  readOutputs(tenant: string, ids: readonly string[]): Promise<Map<string, string>>;
  /** Returns the JSON text of tasks from the ledger, by id. */
  readTasks(ids: readonly string[]): Promise<Map<string, string | null>>;
}

/** A record and the sizes of its texts. */
interface Listed extends Item {
  outputBytes: number;
  inputBytes: number;
  /** Whether the record is from Redis, because the ledger may not have its end yet. */
  inRedis: boolean;
}

export function createListPredictions(deps: ListDeps): ListPredictions {
  return async (tenant, request) => {
    const { filters, cursor, include } = request;
    const name = listName(tenant, filters);
    const { listed, last } = await collect(deps, {
      tenant,
      request,
      from: cursor === undefined ? undefined : decodeCursor(name, cursor),
    });
    if (include.output) await addOutputs(deps, tenant, listed);
    if (include.input) await addInputs(deps, listed);
    return { items: listed, next: last === null ? null : encodeCursor(name, last) };
  };
}

/** The cursor of the page after a prediction of a list. */
export const cursorAfter = (tenant: string, filters: ListFilters, id: string): string =>
  encodeCursor(listName(tenant, filters), id);

/** The name of a list with only a model and a status is the name of 0.1.0, so that the cursors of 0.1.0 stay valid. */
function listName(tenant: string, { model, statuses, order, ...others }: ListFilters): string {
  const status = statuses === undefined ? null : statuses.length === 1 ? statuses[0] : statuses;
  const name = [tenant, model ?? null, status];
  const { after = null, before = null, error = null, metadata, version, ids } = others;
  const more = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  // The names of lists without these filters stay as they were, so that cursors survive an upgrade.
  const later = version === undefined && ids === undefined ? [] : [version ?? null, ids ?? null];
  const isPlain = after === null && before === null && error === null && more.length === 0 && order === 'desc';
  if (isPlain && later.length === 0) return JSON.stringify(name);
  return JSON.stringify([...name, after, before, error, more, order, ...later]);
}

interface Collected {
  listed: Listed[];
  /** The last id that the page has passed; null at the end of the list. */
  last: string | null;
}

interface CollectParams {
  tenant: string;
  request: ListRequest;
  /** The last id of the previous page. */
  from: string | undefined;
}

async function collect(deps: ListDeps, { tenant, request, from }: CollectParams): Promise<Collected> {
  const { filters, limit, include } = request;
  const { statuses, order } = filters;
  const inLedger = statuses?.map((status) => (status === 'running' ? 'queued' : status));
  const listed: Listed[] = [];
  let last = from;
  let bytes = 0;
  for (let reads = 0; reads < READS_MAX; reads += 1) {
    const place = last === undefined ? {} : order === 'asc' ? { after: last } : { before: last };
    const options = { ...filters, statuses: inLedger && [...new Set(inLedger)], limit: limit + 1, ...place };
    const { rows, reached } = await fromStore('Postgres', deps.readLedger(tenant, options));
    const shown = await withLiveStates(deps.live, rows.slice(0, limit));
    for (const [at, one] of shown.entries()) {
      const wanted = matches(one.record, filters);
      const size = (include.output ? one.outputBytes : 0) + (include.input ? one.inputBytes : 0);
      if (wanted && last !== undefined && listed.length > 0 && bytes + size > PAGE_BYTES) return { listed, last };
      last = one.record.id;
      if (!wanted) continue;
      listed.push(one);
      bytes += size;
      const more = at < shown.length - 1 || rows.length > limit || reached !== null;
      if (listed.length === limit && more) return { listed, last };
    }
    if (rows.length <= limit && reached === null) return { listed, last: null };
    if (rows.length <= limit && reached !== null) last = reached;
  }
  return { listed, last: last ?? null };
}

/** The ledger does not know which open predictions are running, and metadata of 0.1.0 can be nested. */
function matches(record: Prediction, { statuses, metadata }: ListFilters): boolean {
  if (statuses !== undefined && !statuses.includes(record.status)) return false;
  const wanted = Object.entries(metadata);
  if (wanted.length === 0) return true;
  const has: unknown = record.metadata === '' ? {} : JSON.parse(record.metadata);
  return wanted.every(([key, value]) => typeof has === 'object' && has !== null && Reflect.get(has, key) === value);
}

async function withLiveStates(live: ListDeps['live'], rows: readonly ListedRow[]): Promise<Listed[]> {
  const open = rows.filter(({ status }) => !isTerminal(status));
  // While Redis does not respond, the page has the states of the ledger.
  const heads = open.length === 0 ? [] : await live.heads(open.map(({ id }) => id)).catch(() => []);
  const byId = new Map(heads.flatMap((head): [string, LiveHead][] => (head ? [[head.id, head]] : [])));
  return rows.map((row) => {
    const head = byId.get(row.id);
    const inputBytes = row.taskBytes;
    if (!head) return { record: predictionOfRow(row), outputBytes: row.outputBytes, inputBytes, inRedis: false };
    const state = predictionOfState(head);
    const record = head.status === 'succeeded' ? { ...state, result: '' } : state;
    return { record, outputBytes: outputBytesOf(head), inputBytes, inRedis: true };
  });
}

function outputBytesOf({ status, bytes, ledgerOutput }: LiveHead): number {
  return status === 'succeeded' ? (ledgerOutput?.bytes ?? bytes) : 0;
}

/** Reads the outputs of the succeeded predictions. An output that Redis discarded meanwhile is in the ledger. */
async function addOutputs(deps: ListDeps, tenant: string, listed: readonly Listed[]): Promise<void> {
  const succeeded = listed.filter(({ record }) => record.status === 'succeeded');
  const missing: Prediction[] = [];
  /** Redis only describes their outputs, and the ledger did not have the outputs. */
  const described = new Set<string>();
  for (const { record, inRedis } of succeeded) {
    const head = inRedis ? await fromStore('Redis', deps.live.read(record.id)) : null;
    const state = head && (await fromStore('Postgres', deps.withOutput(head)));
    if (state?.status === 'succeeded') record.result = state.result;
    else missing.push(record);
    if (head?.ledgerOutput && !state) described.add(record.id);
  }
  if (missing.length === 0) return;
  const ids = missing.map(({ id }) => id);
  const outputs = await fromStore('Postgres', deps.readOutputs(tenant, ids));
  for (const record of missing) {
    const output = outputs.get(record.id);
    if (output === undefined && described.has(record.id)) throw storeError('Postgres', undefined);
    record.result = output ?? 'null';
  }
}

async function addInputs(deps: ListDeps, listed: Listed[]): Promise<void> {
  const ids = listed.filter(({ inputBytes }) => inputBytes > 0).map(({ record }) => record.id);
  const tasks = ids.length === 0 ? new Map<string, null>() : await fromStore('Postgres', deps.readTasks(ids));
  for (const one of listed) one.input = inputsOfTask(tasks.get(one.record.id));
}
