/** The steps of a POST that creates a prediction, in their order. The route turns the outcome into HTTP. */

import type { CachedResult } from '@millrace/shared/cache/result-value';
import { ApiError } from '@millrace/shared/errors';
import { type ModelConfig, mayShareResults } from '@millrace/shared/model-files/model-config';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { LongText, type Text } from '@millrace/shared/predictions/long-text';
import { assembleOutput } from '@millrace/shared/predictions/output';
import { resultWithErrors } from '@millrace/shared/predictions/row-errors';
import { isCacheSlot } from '@millrace/shared/predictions/slots';
import { isSlot } from '@millrace/shared/predictions/task';
import { expectedOutputBytes } from '@millrace/shared/tensors/expected-output';
import { type CachedRows, type LookUpParams, type LookupResult, lookUpCache } from '../cache/cache-lookup.ts';
import { bypassStatus, hitStatus } from '../cache/cache-status.ts';
import type { LocalResults } from '../cache/local-results.ts';
import type { ParsedRequests } from '../cache/parsed-requests.ts';
import type { HttpMetrics } from '../http/request-metrics.ts';
import { fromStore } from '../http/store-errors.ts';
import { type Catalog, type ServedModel, under } from '../models/catalog.ts';
import { type NormalizedInput, normalizeInput } from '../models/normalize-input.ts';
import { admit, type Limits } from '../queue/admission.ts';
import { runOnce } from './idempotency.ts';
import type { Idempotency } from './idempotency-claims.ts';
import type { Outcome } from './outcome.ts';
import {
  buildPending,
  newPrediction,
  type PendingPrediction,
  type PredictionRequest,
  predictionOf,
} from './prediction-request.ts';
import { followPrediction, promiseResult, withdraw } from './promise-result.ts';
import { freeCopiedRows, type PlacedRows, placeRows, type RowSlots, releaseAfter, releaseSlots } from './row-slots.ts';
import { beginSubmission, endSubmission } from './submission-span.ts';
import { isCopied, keepCopy } from './tenant-copy.ts';
import { type WaitDeps, waitForResult } from './wait-for-result.ts';

export interface CreateDeps extends WaitDeps, RowSlots {
  bytesSupport: RowSlots['bytesSupport'];
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  catalog: Pick<Catalog, 'serving'>;
  cache: LocalResults;
  parsedRequests: ParsedRequests;
  idempotency: Idempotency;
  /** Throws ApiError while the clock of this process is wrong. */
  checkClock(): void;
  /** Throws ApiError for an address that webhooks must not reach. */
  checkWebhook(url: string): Promise<void> | void;
  metrics: Pick<HttpMetrics, 'refused'>;
  limits: Limits & { maxRows: number; expiresInDefaultS: number };
}

/** Throws ApiError or rejects with ApiError. Returns without a promise where no step waits. */
export type CreatePrediction = (request: PredictionRequest) => Outcome | Promise<Outcome>;

// Most requests pass through the next functions in one turn. A function binds its parameters only where it must wait: a closure would be
// an object of every request.
export function createPrediction(deps: CreateDeps, request: PredictionRequest): Outcome | Promise<Outcome> {
  const served = deps.catalog.serving(request.tenant, request.model, request.version);
  if (served instanceof Promise) return served.then(createFor.bind(undefined, deps, request));
  return createFor(deps, request, served);
}

function createFor(deps: CreateDeps, request: PredictionRequest, served: ServedModel): Outcome | Promise<Outcome> {
  const { tenant, body, cacheControl } = request;
  request.isModelKnown = true;
  const { digest, config } = served.version;
  const keyed = mayShareResults(config) && !cacheControl.noStore;
  const keyedRequest = { request, served, keyed };
  const normalized =
    deps.parsedRequests.normalizeInput(body, tenant, digest) ??
    normalizeInput(served, body, { tenant, maxRows: deps.limits.maxRows, keyed });
  if (normalized instanceof Promise) return normalized.then(lookUp.bind(undefined, deps, keyedRequest));
  return lookUp(deps, keyedRequest, normalized);
}

interface NormalizedRequest extends LookUpParams {
  request: PredictionRequest;
}

/** Looks for the results in the cache, as a span of the request's trace. */
function lookUp(
  deps: CreateDeps,
  { request, served, keyed }: Omit<NormalizedRequest, 'normalized'>,
  normalized: NormalizedInput,
): Outcome | Promise<Outcome> {
  const params = { request, served, keyed, normalized };
  const { trace } = request;
  const next = (found: LookupResult) => (found.kind === 'cached' ? found : continueAfterCache(deps, params, found));
  if (!trace?.span) return lookUpCache<Outcome>(deps, params, next);
  const found = trace.step('cache look-up', {}, () => lookUpCache<LookupResult>(deps, params, (result) => result));
  return found instanceof Promise ? found.then(next) : next(found);
}

/** Checks `only-if-cached` and the webhook, and then applies the idempotency key. */
function continueAfterCache(deps: CreateDeps, params: NormalizedRequest, found: CachedRows): Promise<Outcome> {
  const { request, normalized, served } = params;
  const { body, cacheControl } = request;
  // An invalid row needs no result.
  if (cacheControl.onlyIfCached && !isComplete(outputsOf(normalized, found.cached)))
    throw notCached(served.version.config);
  if (!body.webhook) return start(deps, params, found);
  return checkWebhook(deps, body.webhook.url).then(start.bind(undefined, deps, params, found));
}

function start(deps: CreateDeps, params: NormalizedRequest, { read, store, cached }: CachedRows): Promise<Outcome> {
  const { request, served, normalized } = params;
  const expiresInS = deps.limits.expiresInDefaultS;
  const pending = buildPending({ request, served, normalized, read, store, cached, expiresInS });
  const { idempotencyKey: key } = request;
  return key === undefined ? submit(deps, pending) : submitOnce(deps, pending, key);
}

function submitOnce(deps: CreateDeps, pending: PendingPrediction, key: string): Promise<Outcome> {
  return runOnce(deps, {
    pending,
    key,
    start: (own) => submit(deps, own),
    follow(own, original) {
      // Only the outputs of invalid rows: the original may have found other rows in the cache.
      const rows = carried(outputsOf(pending.normalized, []));
      const item = () => newPrediction(own, { rows, whole: null, bytes: false });
      return followPrediction(deps, { pending: own, item, original });
    },
  });
}

async function checkWebhook(deps: CreateDeps, url: string): Promise<void> {
  try {
    await deps.checkWebhook(url);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const faults = error.faults.map((fault) => under('/webhook', fault));
    throw new ApiError(error.code, error.message, { faults });
  }
}

/** Submits the prediction: with its result where every row is cached, and otherwise after admission. */
function submit(deps: CreateDeps, pending: PendingPrediction): Promise<Outcome> {
  const { request, normalized, cached } = pending;
  deps.checkClock();
  const outputs = outputsOf(normalized, cached);
  if (isComplete(outputs)) {
    const output = assembleOutput(normalized.shape, outputs);
    const { errors } = normalized;
    beginSubmission(pending);
    return storeCachedResult(deps, { pending, cached, output: errors ? resultWithErrors(output, errors) : output });
  }
  checkAdmission(deps, pending);
  // The task of a promise is text: the ledger has the text, and workers of 0.1.0 keep promises after a return to 0.1.0.
  const bytes = request.prefer.waitS !== null && deps.bytesSupport.isSupported;
  // Before the slots are written and the span begins: an exception would leave both behind.
  deps.checkRedis();
  beginSubmission(pending);
  const submission = { pending, outputs, bytes };
  const placed = bytes ? placeRows(deps, pending) : normalized.rows;
  return placed instanceof Promise ? submitWritten(deps, submission, placed) : submitPlaced(deps, submission, placed);
}

interface Submission {
  pending: PendingPrediction;
  outputs: readonly (Text | null)[];
  /** Whether the task may be bytes. */
  bytes: boolean;
}

/** Submits a prediction whose rows are on their way to the cache Redis. */
async function submitWritten(deps: CreateDeps, submission: Submission, rows: Promise<PlacedRows>): Promise<Outcome> {
  const placed = await rows;
  try {
    deps.checkRedis();
  } catch (error) {
    endSubmission(submission.pending, error);
    releaseSlots(deps, placed.filter(isSlot), 0);
    throw error;
  }
  return submitPlaced(deps, submission, placed);
}

function submitPlaced(deps: CreateDeps, { pending, outputs, bytes }: Submission, placed: PlacedRows): Promise<Outcome> {
  const item = newPrediction(pending, {
    rows: carried(outputs),
    whole: null,
    bytes,
    placed,
    fileSlots: deps.fileSlots,
  });
  freeCopiedRows(pending, placed);
  const isHeld = pending.slots?.some(isCacheSlot) === true;
  if (!isHeld) pending.request.freeInput?.();
  if (pending.request.prefer.waitS === null) return promiseResult(deps, pending, item);
  if (!pending.slots?.length) return waitForResult(deps, pending, item);
  return releaseAfter(deps, pending, async () => {
    try {
      return await waitForResult(deps, pending, item);
    } finally {
      if (isHeld) {
        freeCopiedRows(pending, []);
        pending.request.freeInput?.();
      }
    }
  });
}

/** Throws ApiError when the queue does not take the prediction. Otherwise reserves memory for the output. */
function checkAdmission({ loads, limits, metrics }: CreateDeps, pending: PendingPrediction): void {
  const { served, request, normalized, priority, createdAt } = pending;
  const { registered, version } = served;
  const expiresInMs = request.body.expires_in === undefined ? null : request.body.expires_in * 1000;
  const load = loads.current(registered.model, createdAt);
  if (load.outputShare === 0) {
    // No worker has measured an output of the model: the shapes in the model file give an upper estimate.
    const rowBytes = expectedOutputBytes(version.signature.outputs, version.handlerDigest !== null);
    loads.expect(registered.model, rowBytes * normalized.rows.length);
  }
  const verdict = admit(load, { limits, priority, expiresInMs });
  if (!verdict.admitted) {
    metrics.refused(registered.model, verdict.reason);
    throw new ApiError(verdict.code, verdict.detail, { retryAfterS: verdict.retryAfterS });
  }
  loads.admitted(registered.model);
}

interface FromCache {
  pending: PendingPrediction;
  cached: readonly (CachedResult | null)[];
  /** The output of the prediction, from the cached rows. */
  output: Text;
}

/** Stores a prediction that is terminal from its start: every row is cached, and the caller needs its own prediction. */
async function storeCachedResult(deps: CreateDeps, { pending, cached, output }: FromCache): Promise<Outcome> {
  let completedAt: number;
  try {
    const item = newPrediction(pending, { rows: [], whole: output, bytes: false });
    completedAt = (await fromStore('Redis', deps.submitter.submit(pending, item))).submittedAt;
    endSubmission(pending);
  } catch (error) {
    endSubmission(pending, error);
    throw withdraw(deps, { pending, error });
  }
  const nowMs = sharedNow();
  const record = { ...predictionOf(pending, 'hit'), status: 'succeeded' as const, result: output, completedAt };
  const [hit] = cached;
  if (hit && isCopied(pending)) void keepCopy(deps, { pending, record, hit, nowMs });
  return { kind: 'completed', record, cacheStatus: hitStatus(cached, pending.normalized, nowMs) };
}

/** Whether there is a value for every row, and at least one row. */
const isComplete = <T>(rows: readonly (T | null)[]): rows is readonly T[] =>
  rows.length > 0 && rows.every((row) => row !== null);

/** A cached output as text. A long output stays in pieces. */
const textOf = (bytes: CachedResult['output']): Text =>
  Buffer.isBuffer(bytes) ? bytes.toString() : new LongText(bytes.pieces);

/** The known output of each row, null for a row that must run. The output of an invalid row is the JSON text `null`. */
function outputsOf({ rows, errors }: NormalizedInput, cached: readonly (CachedResult | null)[]): (Text | null)[] {
  const outputs: (Text | null)[] = cached.map((row) => (row ? textOf(row.output) : null));
  if (errors === undefined || errors.length === 0) return outputs;
  while (outputs.length < rows.length) outputs.push(null);
  for (const { row } of errors) outputs[row] = 'null';
  return outputs;
}

/** The most bytes of cached outputs that one task carries to its worker. */
const CARRIED_BYTES = 1_048_576;

/**
 * The outputs that a task carries, since a task is a field of the live state. The rows of all other outputs are computed again.
 */
function carried(outputs: readonly (Text | null)[]): (string | null)[] {
  let bytes = 0;
  return outputs.map((output) => {
    // The output of an invalid row is always carried, because the row cannot run.
    if (output === null || (output !== 'null' && bytes + output.length > CARRIED_BYTES)) return null;
    bytes += output.length;
    return String(output);
  });
}

function notCached(config: ModelConfig): ApiError {
  if (!config.cache.enabled || config.deterministic === true)
    return new ApiError(
      'not_cached',
      'The cache has no result for this input. Send the request without only-if-cached.',
    );
  const detail = 'The results of this model are not cached: equal inputs may have different results.';
  return new ApiError('not_cached', detail, { cacheStatus: bypassStatus(config) });
}
