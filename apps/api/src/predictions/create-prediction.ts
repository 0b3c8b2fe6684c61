/**
 * The way of a prediction through the API: canonical form, cache, single flight, admission, queue, and the wait for its
 * answer. What it gives back is an outcome; the route turns it into HTTP.
 */

import type { CachedResult } from '@millrace/shared/cache/result-cache';
import { ApiError } from '@millrace/shared/errors';
import type { PromiseRow } from '@millrace/shared/ledger/ledger-rows';
import type { LiveStore, NewPrediction, QueueCounts } from '@millrace/shared/live/store';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';
import { mayShareResults } from '@millrace/shared/model-files/model-config';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { LongText, type Text } from '@millrace/shared/predictions/long-text';
import { assembleOutput } from '@millrace/shared/predictions/output';
import { BULL_PRIORITY, isTerminal, type PredictionRecord } from '@millrace/shared/predictions/prediction';
import { expectedOutputBytes } from '@millrace/shared/tensors/expected-output';
import type { CachedAnswer } from '../cache/cache-lookup.ts';
import { bypassStatus, fresh, hitStatus, hitTold, type MissParams, missStatus } from '../cache/cache-status.ts';
import type { LocalResults } from '../cache/local-results.ts';
import type { ParsedRequests } from '../cache/parsed-requests.ts';
import { type Catalog, type ServedModel, under } from '../models/catalog.ts';
import { type NormalizedInput, normalizeInput } from '../models/normalize-input.ts';
import { admit, aheadOf, estimate, type Limits, waitingOf } from '../queue/admission.ts';
import type { Answer, CompletionListener } from '../queue/completion-listener.ts';
import type { EstimateWatch } from '../queue/estimate-watch.ts';
import type { QueueLoad } from '../queue/queue-load.ts';
import type { SubmitResult, Submitter } from '../queue/submitter.ts';
import { committed, fromStore, redisAway, storeError, WriteOutcomeUnknown } from '../stores/store-errors.ts';
import type { Finder, Found } from './find-prediction.ts';
import { createOnce } from './idempotency.ts';
import type { Idempotency } from './idempotency-claims.ts';
import type { Outcome } from './outcome.ts';
import {
  bringsItsOwn,
  buildPending,
  newPrediction,
  type PendingPrediction,
  type PredictionRequest,
  promiseRow,
  recordOf,
} from './prediction-request.ts';
import { isCopied, keepCopy, removeCopy } from './tenant-copy.ts';

export interface PredictDeps {
  catalog: Catalog;
  cache: LocalResults;
  parsedRequests: ParsedRequests;
  live: LiveStore;
  submitter: Submitter;
  completions: CompletionListener;
  idempotency: Idempotency;
  loads: QueueLoad;
  estimates: EstimateWatch;
  finder: Finder;
  /** What the queue Redis answers to writes while it refuses them. */
  redisRefusal(): Error | undefined;
  /** Whether the cache Redis takes writes. */
  cacheWritable(): boolean;
  /** Commits a promise to the ledger. */
  promise(row: PromiseRow): Promise<void>;
  /** Throws ApiError while this process may accept nothing. */
  checkClock(): void;
  /** Refuses addresses that webhooks may not reach; throws ApiError. */
  checkWebhook(url: string): Promise<void> | void;
  limits: Limits & { maxRows: number; expiresInDefaultS: number };
}

/** Throws ApiError, or rejects with it; at once where nothing has to be waited for. */
export type Predict = (request: PredictionRequest) => Outcome | Promise<Outcome>;

/**
 * What comes next, at once where the value is there. On the fast path an async function would be made for each caller
 * only to be kept, and moved by the garbage collector, for as long as the caller waits.
 */
function after<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

export function createPredict(deps: PredictDeps): Predict {
  const { catalog, cache, parsedRequests, live, submitter, completions, loads, finder, limits } = deps;
  const once = createOnce(deps);

  /** How the cache missed: which rows were known, and whether another request computes the rest. */
  function missOf(
    pending: PendingPrediction,
    result: SubmitResult | undefined,
    known: readonly (CachedResult | null)[],
  ): MissParams {
    const outcome = result?.submitted.outcome;
    const shared = outcome === 'follow' || outcome === 'done';
    const { config } = pending.served.version;
    return { config, store: pending.store, read: pending.read, shared, known, cacheWritable: deps.cacheWritable() };
  }

  function predict(request: PredictionRequest): Outcome | Promise<Outcome> {
    const { tenant, model, version, body, cacheControl } = request;
    return after(catalog.serving(tenant, model, version), (served) => {
      const { digest, config } = served.version;
      const keyed = mayShareResults(config) && !cacheControl.noStore;
      const planning =
        parsedRequests.normalizeInput(body, tenant, digest) ??
        normalizeInput(served, tenant, body, limits.maxRows, keyed);
      return after(planning, (plan) => look(request, served, plan, keyed));
    });
  }

  /** Looks into the cache, and goes on with what is not there. */
  function look(
    request: PredictionRequest,
    served: ServedModel,
    plan: NormalizedInput,
    keyed: boolean,
  ): Outcome | Promise<Outcome> {
    const { cacheControl } = request;
    const { cacheEpoch } = served.registered;
    const read = keyed && !cacheControl.noCache;
    if (!read) {
      // It is computed afresh, and what this process remembers must not outlive that.
      if (keyed) for (const key of plan.keys) cache.forget(key);
      if (keyed && plan.own !== undefined) void removeCopy(cache, plan.own, cacheEpoch);
      return goOn(request, served, plan, { read, store: keyed }, []);
    }
    const now = sharedNow();
    const ofUse = (one: CachedResult | null) => (one && fresh(one, cacheControl.maxAgeS, now) ? one : null);
    if (plan.keys.length !== 1)
      return cache
        .getMany(plan.keys, cacheEpoch)
        .then((known) => goOn(request, served, plan, { read, store: keyed }, known.map(ofUse)));
    const { digest } = served.version;
    const wholeHit = (hit: CachedResult | null): CachedAnswer | undefined => {
      if (!hit?.body || plan.shape !== 'one' || bringsItsOwn(request)) return undefined;
      const text = hit.text ?? (Buffer.isBuffer(hit.body) ? hit.body.toString('latin1') : textOf(hit.body));
      return { kind: 'cached', text, ...hitTold(hit, plan.own, now), plan, digest };
    };
    const shared = () =>
      after(cache.get(plan.keys[0] as string, cacheEpoch, now), (one) => {
        const hit = ofUse(one);
        // What is shared with other tenants shows the prediction of whoever asked first: only the output is for this one.
        const whole = plan.own === undefined ? wholeHit(hit) : undefined;
        return whole ?? goOn(request, served, plan, { read, store: keyed }, [hit]);
      });
    if (plan.own === undefined) return shared();
    return after(cache.get(plan.own, cacheEpoch, now), (copy) => wholeHit(ofUse(copy)) ?? shared());
  }

  function goOn(
    request: PredictionRequest,
    served: ServedModel,
    plan: NormalizedInput,
    { read, store }: { read: boolean; store: boolean },
    known: (CachedResult | null)[],
  ): Promise<Outcome> {
    const { body, idempotencyKey } = request;
    const allKnown = known.length > 0 && known.every((one) => one !== null);
    if (request.cacheControl.onlyIfCached && !allKnown) throw notCached(served.version.config);
    const pending = () => buildPending(request, served, plan, limits.expiresInDefaultS, read, store);
    const start = (): Promise<Outcome> =>
      idempotencyKey === undefined
        ? begin(pending(), known, allKnown)
        : once(pending(), idempotencyKey, (own) => begin(own, known, allKnown), follow);
    return body.webhook ? checkWebhook(body.webhook.url).then(start) : start();
  }

  async function checkWebhook(url: string): Promise<void> {
    try {
      await deps.checkWebhook(url);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const faults = error.faults.map((fault) => under('/webhook', fault));
      throw new ApiError(error.code, error.message, { faults });
    }
  }

  function begin(pending: PendingPrediction, known: (CachedResult | null)[], allKnown: boolean): Promise<Outcome> {
    const { request, served, plan, priority } = pending;
    deps.checkClock();
    const waits = request.prefer.waitS !== null && !request.prefer.respondAsync;
    const outputs = known.map((one) => (one ? textOf(one.output) : null));
    const answer = allKnown ? assembleOutput(plan.shape, outputs as Text[]) : null;
    if (answer === null) {
      const asked = request.body.expires_in === undefined ? null : request.body.expires_in * 1000;
      const { model } = served.registered;
      const load = loads.current(model, pending.createdAt);
      if (load.outputShare === 0) expectOutputOf(pending);
      const verdict = admit(load, { limits, priority, expiresInMs: asked });
      if (!verdict.admitted) throw new ApiError(verdict.code, verdict.detail, { retryAfterS: verdict.retryAfterS });
      loads.admitted(model);
    }
    const item = newPrediction(pending, answer === null ? carried(outputs) : [], answer);
    if (answer !== null) return answeredFromCache(pending, item, known);
    return waits ? waitFor(pending, item, known) : promise(pending, item, known);
  }

  /** Nobody has measured an output of the model yet: the shapes in its file tell how large an output may be. */
  function expectOutputOf({ served: { registered, version }, plan }: PendingPrediction): void {
    const rowBytes = expectedOutputBytes(version.signature.outputs, version.handlerDigest !== null);
    loads.expect(registered.model, rowBytes * plan.rows.length);
  }

  /** Every row was known, and the caller wants a prediction of its own: it is terminal from its first moment. */
  async function answeredFromCache(
    pending: PendingPrediction,
    item: NewPrediction,
    known: (CachedResult | null)[],
  ): Promise<Outcome> {
    try {
      await fromStore('Redis', submitter.submit(pending, item));
    } catch (error) {
      throw withdrawn(pending, error);
    }
    const now = sharedNow();
    const record: PredictionRecord = {
      ...recordOf(pending),
      status: 'succeeded',
      result: item.known as Text,
      completedAt: now,
    };
    const [hit] = known;
    if (hit && isCopied(pending)) void keepCopy({ cache, pending, record, hit, nowMs: now });
    const cacheStatus = pending.plan.own === undefined ? hitStatus(known, now) : 'millrace; hit';
    return { kind: 'answered', record, cacheStatus };
  }

  /** For a caller that waits: no promise is needed unless the answer takes longer than the wait. */
  function waitFor(pending: PendingPrediction, item: NewPrediction, known: (CachedResult | null)[]): Promise<Outcome> {
    if (!finder.redisReady()) throw redisAway(deps.redisRefusal());
    const listening = completions.listen(shardOf(pending.served.registered.model));
    if (listening) return fromStore('Redis', listening).then(() => submitAndWait(pending, item, known));
    return submitAndWait(pending, item, known);
  }

  function submitAndWait(
    pending: PendingPrediction,
    item: NewPrediction,
    known: (CachedResult | null)[],
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      let result: SubmitResult | undefined;
      let answer: Answer | null | undefined;
      // Goes on when both are there, whichever came first.
      const next = (): void => {
        if (result === undefined || answer === undefined) return;
        const cacheStatus = missStatus(missOf(pending, result, known));
        if (answer === null) resolve(unanswered(pending, item, result, cacheStatus));
        else resolve({ kind: 'answered', record: withAnswer(recordOf(pending), answer), cacheStatus });
      };
      const untilDeadlineMs = Math.max(1, pending.expiresAt - sharedNow() + 1);
      const waitMs = Math.min((pending.request.prefer.waitS as number) * 1000, untilDeadlineMs);
      const waiter = completions.tell(pending.id, waitMs, pending.request.signal, (told) => {
        answer = told;
        if (told?.startedAt) loads.observeRun(pending.served.registered.model, told.completedAt - told.startedAt);
        next();
      });
      const resubmit = (): void => {
        waiter.resubmit = undefined;
        const again = { ...item, resubmittedAt: sharedNow() };
        const restore = (): void => {
          waiter.resubmit = resubmit;
        };
        submitter.put(pending, again, { onResult: restore, onError: restore });
      };
      submitter.put(pending, item, {
        onResult: (submitted) => {
          result = submitted;
          waiter.resubmit = resubmit;
          next();
        },
        onError: (error) => {
          completions.forget(waiter);
          reject(withdrawn(pending, storeError('Redis', error)));
        },
      });
    });
  }

  /** The wait has ended, and the work has not: a promise takes the place of the answer. */
  async function unanswered(
    pending: PendingPrediction,
    item: NewPrediction,
    result: SubmitResult,
    cacheStatus: string,
  ): Promise<Outcome> {
    const { signal } = pending.request;
    if (!signal.aborted && sharedNow() >= pending.expiresAt) {
      // Looked up, it is ended by its deadline.
      const found = await finder.find(pending.request.tenant, pending.id);
      if (found && isTerminal(found.record.status)) return { kind: 'answered', record: found.record, cacheStatus };
    }
    if (signal.aborted && pending.request.idempotencyKey === undefined && pending.request.body.webhook === undefined) {
      live.end(pending.id, pending.request.tenant, 'canceled', sharedNow()).catch(() => {});
      return { kind: 'gone' };
    }
    if (pending.request.ledgerless) {
      live.end(pending.id, pending.request.tenant, 'canceled', sharedNow()).catch(() => {});
      return accepted(pending, result, cacheStatus);
    }
    try {
      await committed(deps.promise(promiseRow(pending, item)));
    } catch (error) {
      throw withdrawn(pending, error);
    }
    return accepted(pending, result, cacheStatus);
  }

  /**
   * What a failed call began may have been written all the same. Nobody is told of it, so nobody is to compute it; but with an
   * Idempotency-Key the caller comes back, and is to find it.
   */
  function withdrawn(pending: PendingPrediction, error: unknown): unknown {
    // What Redis had no memory for is refused for certain: its key is free again, and its state is not to wait without a job.
    const refused = error instanceof ApiError && error.code === 'queue_full';
    if (pending.request.idempotencyKey !== undefined && !refused) return WriteOutcomeUnknown.of(error);
    live.end(pending.id, pending.request.tenant, 'canceled', sharedNow()).catch(() => {});
    return error;
  }

  /** For a caller that does not wait: the ledger first. From its commit on it is promised, whatever Redis does. */
  async function promise(
    pending: PendingPrediction,
    item: NewPrediction,
    known: (CachedResult | null)[],
  ): Promise<Outcome> {
    if (!finder.redisReady()) throw redisAway(deps.redisRefusal());
    await committed(deps.promise(promiseRow(pending, item)));
    let result: SubmitResult | undefined;
    try {
      result = await submitter.submit(pending, item);
    } catch {
      // The promise stands: the reconciler finds it in the ledger and brings it to Redis.
    }
    const cacheStatus = missStatus(missOf(pending, result, known));
    if (result?.submitted.outcome === 'done') {
      const found = await finder.find(pending.request.tenant, pending.id);
      if (found && isTerminal(found.record.status)) return { kind: 'answered', record: found.record, cacheStatus };
    }
    return accepted(pending, result, cacheStatus);
  }

  function accepted(pending: PendingPrediction, result: SubmitResult | undefined, cacheStatus: string): Outcome {
    const now = sharedNow();
    const load = loads.current(pending.served.registered.model, now);
    const submitted = result?.submitted;
    const number = submitted?.outcome === 'lead' ? submitted.number : undefined;
    const counts = result?.counts ?? load.counts;
    const ahead = aheadOf(counts, BULL_PRIORITY[pending.priority], number);
    const queue = estimate(ahead, load, now);
    deps.estimates.promised({
      id: pending.id,
      model: pending.served.registered.model,
      priority: pending.priority,
      queue,
    });
    return { kind: 'accepted', record: recordOf(pending), queue, room: roomIn(counts), cacheStatus };
  }

  /** The prediction that an idempotency key stands for, waited for if the caller would. */
  async function follow(pending: PendingPrediction, { record, queue }: Found): Promise<Outcome> {
    const { prefer, signal, tenant } = pending.request;
    const waitMs = prefer.respondAsync ? 0 : (prefer.waitS ?? 0) * 1000;
    const found = (await finder.await(tenant, record, waitMs, signal)) ?? { record, queue };
    const cacheStatus = 'millrace; fwd=request; collapsed';
    if (isTerminal(found.record.status)) return { kind: 'answered', record: found.record, cacheStatus };
    const now = sharedNow();
    const room = roomIn(loads.current(found.record.model, now).counts);
    const estimated = found.queue ?? estimate(0, { perMs: undefined }, now);
    return { kind: 'accepted', record: found.record, queue: estimated, room, cacheStatus };
  }

  function roomIn(counts: QueueCounts): number {
    return Math.max(0, limits.maxQueue - waitingOf(counts));
  }

  return predict;
}

/** A cached output as text. A long output stays in pieces. */
const textOf = (bytes: CachedResult['output']): Text =>
  Buffer.isBuffer(bytes) ? bytes.toString() : new LongText(bytes.pieces);

/** Bytes of known outputs that one task carries to its worker. */
const CARRIED_BYTES = 1_048_576;

/** The outputs that a task carries, since a task is a field of the live state. The rows of all other outputs are computed again. */
function carried(outputs: readonly (Text | null)[]): (string | null)[] {
  let bytes = 0;
  return outputs.map((output) => {
    if (output === null || bytes + output.length > CARRIED_BYTES) return null;
    bytes += output.length;
    return String(output);
  });
}

const notCached = (config: ModelConfig): ApiError =>
  config.cache.enabled && config.deterministic !== true
    ? new ApiError(
        'not_cached',
        'No answer is cached, since equal questions to this model may get different answers.',
        {
          cacheStatus: bypassStatus(config),
        },
      )
    : new ApiError('not_cached', 'The answer is not in the cache, and only-if-cached was asked.');

/** Writes an answer into a record that nobody else has. */
const withAnswer = (record: PredictionRecord, answer: Answer): PredictionRecord => Object.assign(record, answer);
