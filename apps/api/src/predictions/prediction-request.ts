/** What a request asks, once it is planned, and the forms in which live state, ledger and caller are told of it. */

import type { PredictionOptions, PromiseRow } from '@millrace/shared/ledger/ledger-rows';
import type { NewPrediction } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { PredictionRecord, Priority } from '@millrace/shared/predictions/prediction';
import { type Task, taskText } from '@millrace/shared/predictions/task';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import type { CacheControl, Prefer } from '../http/request-headers.ts';
import type { ServedModel } from '../models/catalog.ts';
import { flightOf, type NormalizedInput } from '../models/normalize-input.ts';

export interface PredictionBody {
  input?: unknown;
  inputs?: unknown[];
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
  /** Aborts when the caller has gone. */
  signal: DisconnectSignal;
  /** The caller takes no promise: what is not answered within its wait is cancelled. */
  ledgerless?: boolean;
}

/** What is known of a request once it is planned. */
export interface PendingPrediction {
  request: PredictionRequest;
  served: ServedModel;
  plan: NormalizedInput;
  priority: Priority;
  id: string;
  createdAt: number;
  expiresAt: number;
  /** JSON text; '' for none. */
  metadata: string;
  options: PredictionOptions & { idempotency?: string };
  /** May read the cache and share a flight; may be stored. */
  read: boolean;
  store: boolean;
}

/** Whether its caller gets a prediction of its own, whatever is known. */
export const bringsItsOwn = ({ body, idempotencyKey }: PredictionRequest): boolean =>
  body.webhook !== undefined || body.metadata !== undefined || idempotencyKey !== undefined;

/** A new ask, with an id; `expiresInS` where the request does not say. */
export function buildPending(
  request: PredictionRequest,
  served: ServedModel,
  plan: NormalizedInput,
  expiresInS: number,
  read: boolean,
  store: boolean,
): PendingPrediction {
  const { body } = request;
  const createdAt = sharedNow();
  return {
    request,
    served,
    plan,
    priority: body.priority ?? served.version.config.priority,
    id: newPredictionId(shardOf(served.registered.model), createdAt),
    createdAt,
    expiresAt: createdAt + Math.round((body.expires_in ?? expiresInS) * 1000),
    metadata: body.metadata === undefined ? '' : JSON.stringify(body.metadata),
    options: body.webhook ? { webhook: body.webhook } : {},
    read,
    store,
  };
}

/** `outputs` are those known of its rows; `answer` is its whole output where all are. */
export function newPrediction(
  pending: PendingPrediction,
  outputs: readonly (string | null)[],
  answer: Text | null,
): NewPrediction {
  const { plan, served, request } = pending;
  const { digest } = served.version;
  const epoch = served.registered.cacheEpoch;
  const some = answer === null && outputs.some((one) => one !== null);
  const keys = pending.store ? plan.keys : plan.rows.map(() => null);
  const task: Task = {
    shape: plan.shape,
    rows: plan.rows,
    keys,
    digest,
    epoch,
    ...(some ? { known: [...outputs] } : {}),
  };
  return {
    id: pending.id,
    createdAt: pending.createdAt,
    expiresAt: pending.expiresAt,
    tenant: request.tenant,
    metadata: pending.metadata,
    options: Object.keys(pending.options).length > 0 ? JSON.stringify(pending.options) : '',
    flight: pending.read ? flightOf(plan, digest, epoch) : null,
    task: taskText(task),
    rows: some ? outputs.filter((one) => one === null).length : plan.rows.length,
    attempts: 0,
    opening: 0,
    known: answer,
  };
}

export function recordOf(pending: PendingPrediction): PredictionRecord {
  return {
    id: pending.id,
    model: pending.served.registered.model,
    version: pending.served.version.version,
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
    task: item.task,
    options: pending.options.webhook ? { webhook: pending.options.webhook } : null,
    metadata: pending.metadata,
    createdAt: pending.createdAt,
    expiresAt: pending.expiresAt,
    idempotencyHash: pending.options.idempotency ?? null,
  };
}
