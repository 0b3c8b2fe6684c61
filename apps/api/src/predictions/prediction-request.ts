/** A request for a prediction, and the forms of a new prediction: in the live state, in the ledger and in the response. */

import type { CachedResult } from '@millrace/shared/cache/result-value';
import type { PromiseRow } from '@millrace/shared/ledger/ledger-rows';
import { storedOptions } from '@millrace/shared/ledger/terminal-row';
import type { NewPrediction } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { CacheUse, Prediction, Priority } from '@millrace/shared/predictions/prediction';
import { factsOf, optionsText, type RequestOptions } from '@millrace/shared/predictions/request-options';
import {
  type GivenTask,
  isSlot,
  type SlotRow,
  storedTask,
  type Task,
  taskText,
  textOfTask,
} from '@millrace/shared/predictions/task';
import type { Span } from '@millrace/shared/tracing/tracing';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import type { CacheControl, Prefer } from '../http/request-headers.ts';
import type { RequestTrace } from '../http/request-trace.ts';
import type { ServedModel } from '../models/catalog.ts';
import { flightOf, type NormalizedInput } from '../models/normalize-input.ts';
import { type PlacedRows, type RowSlots, wholeTask } from './row-slots.ts';

export interface PredictionBody {
  input?: unknown;
  inputs?: unknown[];
  /** How an invalid or failing row of `inputs` ends: with the prediction, or with its own error. */
  on_error?: 'fail' | 'row';
  webhook?: { url: string; events?: string[] };
  priority?: Priority;
  expires_in?: number;
  metadata?: Record<string, unknown>;
}

export interface PredictionRequest {
  tenant: string;
  model: string;
  version: string | undefined;
  body: PredictionBody;
  prefer: Prefer;
  cacheControl: CacheControl;
  idempotencyKey: string | undefined;
  /** Aborts when the client disconnects. */
  signal: DisconnectSignal;
  /** The caller accepts no promise: a prediction without a result at the end of the wait is canceled. */
  ledgerless?: boolean;
  /** Releases the memory of the input. Called when the task or its slots have a copy, and no later step reads the input. */
  freeInput?: () => void;
  /** Set as soon as the registry has the model. */
  isModelKnown?: boolean;
  trace?: RequestTrace | undefined;
}

/** A request with its model version and its normalized input, and the new prediction. */
export interface PendingPrediction {
  request: PredictionRequest;
  served: ServedModel;
  normalized: NormalizedInput;
  priority: Priority;
  id: string;
  createdAt: number;
  expiresAt: number;
  /** JSON text; '' for none. */
  metadata: string;
  options: RequestOptions;
  /** Whether the request reads the cache and may share a flight. */
  read: boolean;
  /** Whether the cache may store the result. */
  store: boolean;
  /** The cached result of each row, null for a row that is not cached. Empty when the request does not read the cache. */
  cached: readonly (CachedResult | null)[];
  /** The slots of the rows, after newPrediction. Absent where no row was placed. */
  slots?: readonly SlotRow[];
  /** The span of the submission, where the trace of the request is recorded. */
  submission?: Span | undefined;
  /** Builds the task with its rows in place of slots, for the ledger, and where a worker cannot read the slots. Absent without slots. */
  wholeTask?: () => Task;
}

export interface PendingParams
  extends Pick<PendingPrediction, 'request' | 'served' | 'normalized' | 'read' | 'store' | 'cached'> {
  /** Seconds until the deadline of a request without `expires_in`. */
  expiresInS: number;
}

/** Creates the prediction of a request, with a new id. */
export function buildPending(params: PendingParams): PendingPrediction {
  const { request, served, normalized, read, store, cached, expiresInS } = params;
  const { body } = request;
  const createdAt = sharedNow();
  return {
    request,
    served,
    normalized,
    priority: body.priority ?? served.version.config.priority,
    id: newPredictionId(shardOf(served.registered.model), createdAt),
    createdAt,
    expiresAt: createdAt + Math.round((body.expires_in ?? expiresInS) * 1000),
    metadata: body.metadata === undefined ? '' : JSON.stringify(body.metadata),
    options: optionsOf(params),
    read,
    store,
    cached,
  };
}

function optionsOf({ request: { body }, normalized, store, cached }: PendingParams): RequestOptions {
  const options: RequestOptions = {};
  if (body.webhook) options.webhook = body.webhook;
  if (normalized.rows.length !== 1) options.rows = normalized.rows.length;
  if (normalized.shape === 'list') options.list = true;
  if (!store) options.cache = 'bypass';
  else if (cached.some((row) => row !== null)) options.cache = 'partial';
  return options;
}

export interface NewPredictionParams {
  /** The outputs that the task carries: null for a row without a carried output. */
  rows: readonly (string | null)[];
  /** The whole output, when every row is cached. */
  whole: Text | null;
  /** Whether the task may be bytes. */
  bytes: boolean;
  /** The rows, some in slots. Without `placed`, no row is in a slot. */
  placed?: PlacedRows;
  /** Reads slots that are files. */
  fileSlots?: RowSlots['fileSlots'];
}

/** The key of each row whose result may be stored, null for other rows. No result of an invalid row is stored. */
function keysOf({ store, normalized: { rows, keys, errors } }: PendingPrediction): (string | null)[] {
  if (!store) return rows.map(() => null);
  if (errors === undefined) return keys;
  const stored: (string | null)[] = [...keys];
  for (const { row } of errors) stored[row] = null;
  return stored;
}

/** The prediction in the form of the queue. */
export function newPrediction(
  pending: PendingPrediction,
  { rows, whole, bytes, placed, fileSlots }: NewPredictionParams,
): NewPrediction {
  const { normalized, served, request } = pending;
  const { digest } = served.version;
  const epoch = served.registered.cacheEpoch;
  const some = whole === null && rows.some((row) => row !== null);
  const { shape, errors } = normalized;
  const task: GivenTask = { shape, rows: placed ?? normalized.rows, keys: keysOf(pending), digest, epoch };
  if (some) task.known = [...rows];
  if (errors !== undefined) {
    task.onError = 'row';
    task.invalid = errors;
  }
  // A prediction with its whole output needs no task.
  const stored = whole === null ? storedTask(task, bytes) : '';
  if (placed !== undefined && placed !== normalized.rows && fileSlots !== undefined) {
    pending.slots = placed.filter(isSlot);
    if (pending.slots.length > 0) pending.wholeTask = wholeTask.bind(undefined, stored, pending, fileSlots);
  }
  return {
    id: pending.id,
    createdAt: pending.createdAt,
    expiresAt: pending.expiresAt,
    tenant: request.tenant,
    metadata: pending.metadata,
    options: optionsText(pending.options),
    flight: pending.read ? flightOf(normalized, digest, epoch) : null,
    task: stored,
    rows: some ? rows.filter((row) => row === null).length : normalized.rows.length,
    attempts: 0,
    opening: 0,
    known: whole,
  };
}

/** `cache` is how the prediction used the cache, if the submission has decided. */
export function predictionOf(pending: PendingPrediction, cache?: CacheUse): Prediction {
  const facts = factsOf(pending.options);
  return {
    id: pending.id,
    model: pending.served.registered.model,
    version: pending.served.version.version,
    digest: pending.served.version.digest,
    priority: pending.priority,
    webhook: pending.options.webhook ?? null,
    list: facts.list,
    rows: facts.rows,
    cache: cache ?? facts.cache,
    status: 'queued',
    result: '',
    createdAt: pending.createdAt,
    startedAt: null,
    completedAt: null,
    expiresAt: pending.expiresAt,
    attempts: 0,
    opening: 0,
    metadata: pending.metadata,
    inferenceMs: null,
    batchSize: null,
  };
}

export function promiseRow(pending: PendingPrediction, item: NewPrediction): PromiseRow {
  return {
    id: pending.id,
    tenant: pending.request.tenant,
    model: pending.served.registered.model,
    version: pending.served.version.version,
    digest: pending.served.version.digest,
    priority: pending.priority,
    task: typeof item.task === 'object' && pending.wholeTask ? taskText(pending.wholeTask()) : textOfTask(item.task),
    options: storedOptions(pending.options),
    metadata: pending.metadata,
    createdAt: pending.createdAt,
    expiresAt: pending.expiresAt,
    idempotencyHash: pending.options.idempotency ?? null,
    ...factsOf(pending.options),
  };
}
