/** The routes that create a prediction: `POST /v1/models/{model}/predictions`, and the same for one version. */

import { renderPrediction, rendersAscii } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { CachedResponse, LookUpRequest } from '../cache/cache-lookup.ts';
import type { ParsedRequests } from '../cache/parsed-requests.ts';
import { idIn } from '../cache/stored-body.ts';
import { readWholeBody } from '../http/body-pieces.ts';
import { disconnectSignal, NEVER_DISCONNECTS } from '../http/client-disconnect.ts';
import { FORM_TYPE } from '../http/forms.ts';
import { generalHeaderList } from '../http/general-headers.ts';
import { idempotencyKeyOf } from '../http/idempotency-key.ts';
import { REPLAYED } from '../http/idempotent-posts.ts';
import { type Prefer, parseCacheControl, parsePrefer } from '../http/request-headers.ts';
import { DISCONNECTED, type HttpMetrics } from '../http/request-metrics.ts';
import { startOf } from '../http/request-start.ts';
import { createResponseBatch, type SendOut } from '../http/response-batch.ts';
import type { App } from '../http/type-provider.ts';
import { checkBody } from './body-limits.ts';
import type { AcceptedOutcome, CompletedOutcome, Outcome } from './outcome.ts';
import { type FormLimits, readPredictionForm } from './prediction-form.ts';
import type { PredictionBody, PredictionRequest } from './prediction-request.ts';
import type { CreationListener, StartCreation } from './request-counts.ts';
import { appliedPreference, etagOf, locationOf, retryAfterOf, STATUS_HEADER } from './response-headers.ts';
import * as routes from './route-schemas.ts';
import { PredictionRequestBody } from './schemas.ts';

export interface CreateRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  log: FastifyBaseLogger;
  startCreation: StartCreation;
  /** Returns a cached response without I/O, or undefined. */
  lookUpLocal(request: LookUpRequest): CachedResponse | undefined;
  parsedRequests: ParsedRequests;
  tenantOf(request: FastifyRequest): string;
  limits: { maxMetadata: number; maxQueue: number; bodyLimit: number } & FormLimits;
  metrics: HttpMetrics;
}

type CreateRequest = FastifyRequest<{ Params: { model: string; version?: string }; Body: PredictionBody }>;

const LOCAL_HIT = { 'millrace.cache': 'hit' };

export function registerCreateRoutes(app: App, deps: CreateRoutes): void {
  const { startCreation, lookUpLocal, tenantOf, limits, metrics } = deps;
  const sender = new OutcomeSender({
    sendOut: createResponseBatch(deps.log),
    base: deps.base,
    maxQueue: limits.maxQueue,
  });

  // Returns no promise: Fastify would add another promise to each waiting request.
  function create(request: CreateRequest, reply: FastifyReply): void {
    const startedAt = startOf(request.raw);
    const { body, headers } = request;
    checkBody(body, limits.maxMetadata);
    const { model, version } = request.params;
    const creating: PredictionRequest = {
      tenant: tenantOf(request),
      model,
      version,
      body,
      prefer: parsePrefer(headers.prefer),
      cacheControl: parseCacheControl(headers['cache-control']),
      idempotencyKey: idempotencyKeyOf(headers['idempotency-key']),
      signal: NEVER_DISCONNECTS,
      trace: request.trace,
    };
    const cached = lookUpLocal(creating);
    if (cached !== undefined) {
      request.trace?.start('cache look-up', { attributes: LOCAL_HIT })?.end();
      metrics.predicted(creating, startedAt, { status: 200, cacheStatus: cached.cacheStatus });
      sender.sendCached(reply, cached, creating.prefer);
      return;
    }
    creating.signal = disconnectSignal(reply, creating.prefer.waitS !== null);
    startCreation(creating, new Creation(deps, sender, { reply, creating, startedAt }));
  }

  // These two routes count their requests themselves: a hook would cost more than the counting.
  const config = { countsItself: true, numberArrays: true, ownIdempotencyKeys: true };
  // No other route takes the forms of this instance.
  void app.register(async (scope: App) => {
    registerForms(scope, limits);
    scope.post('/v1/models/:model/predictions', { schema: routes.createPrediction, config }, create);
    scope.post(
      '/v1/models/:model/versions/:version/predictions',
      { schema: routes.createPinnedPrediction, config },
      create,
    );
  });
}

function registerForms(app: App, { bodyLimit, ...limits }: FormLimits & { bodyLimit: number }): void {
  app.addContentTypeParser(FORM_TYPE, { bodyLimit }, (request, payload, done) =>
    readWholeBody(payload, bodyLimit, (fault, bytes) => {
      if (bytes === undefined) return done(fault);
      // With setImmediate, an exception of `done` is not a rejection of the parser.
      readPredictionForm(bytes, request.headers['content-type'] ?? '', limits).then(
        (body) => setImmediate(done, null, body),
        (error: Error) => setImmediate(done, error),
      );
    }),
  );
}

/** Whether an input names an image by URL or file. A data URL is the image itself. */
function namesImage(input: unknown): boolean {
  if (typeof input !== 'object' || input === null || !('image' in input)) return false;
  const { image } = input;
  return typeof image === 'string' ? !image.startsWith('data:') : typeof image === 'object';
}

interface CreationParams {
  reply: FastifyReply;
  creating: PredictionRequest;
  /** On the clock of `performance.now()`. */
  startedAt: number;
}

/** The response to one request, when its outcome is there. */
class Creation implements CreationListener {
  readonly #deps: Pick<CreateRoutes, 'parsedRequests' | 'metrics' | 'log'>;
  readonly #sender: OutcomeSender;
  readonly #params: CreationParams;

  constructor(
    deps: Pick<CreateRoutes, 'parsedRequests' | 'metrics' | 'log'>,
    sender: OutcomeSender,
    params: CreationParams,
  ) {
    this.#deps = deps;
    this.#sender = sender;
    this.#params = params;
  }

  onOutcome(outcome: Outcome): void {
    const { reply, creating, startedAt } = this.#params;
    try {
      this.#deps.metrics.predicted(creating, startedAt, this.#sender.respond(reply, creating, outcome));
      if (outcome.kind === 'cached') this.#storeParsed(outcome);
    } catch (error) {
      this.onError(error);
    }
  }

  /** Fastify's error handler sends the response. */
  onError(error: unknown): void {
    const { reply } = this.#params;
    if (reply.sent) this.#deps.log.error({ err: error, reqId: reply.request.id }, 'an error after the response');
    else void reply.send(error);
  }

  #storeParsed({ normalized, digest }: CachedResponse): void {
    const { reply, creating } = this.#params;
    const { tenant, body } = creating;
    // The bytes of a URL can change, and a file can be deleted: the same text is not always the same input.
    if (namesImage(body.input) || body.inputs?.some(namesImage)) return;
    const { bodyText: text } = reply.request;
    this.#deps.parsedRequests.store({ text, body, schema: PredictionRequestBody, tenant, digest, normalized });
  }
}

/** Sends the outcomes of creations without Fastify's reply: see http/response-batch.ts. */
class OutcomeSender {
  readonly #sendOut: SendOut;
  /** The RateLimit-Policy of the queue. */
  readonly #policy: string;

  readonly #base: string;

  constructor({ sendOut, base, maxQueue }: { sendOut: SendOut; base: string; maxQueue: number }) {
    this.#sendOut = sendOut;
    this.#base = base;
    this.#policy = `"queue";q=${maxQueue}`;
  }

  /** Sends the outcome and returns the values for the metrics. */
  respond(
    reply: FastifyReply,
    { prefer }: PredictionRequest,
    outcome: Outcome,
  ): { status: number; cacheStatus: string | null } {
    if (outcome.kind === 'disconnected') {
      reply.raw.destroy();
      return { status: DISCONNECTED, cacheStatus: null };
    }
    const { cacheStatus } = outcome;
    if (outcome.kind === 'cached') this.sendCached(reply, outcome, prefer);
    else if (outcome.kind === 'completed') this.#sendCompleted(reply, outcome, prefer);
    else this.#sendAccepted(reply, outcome, prefer);
    return { status: outcome.kind === 'accepted' ? 202 : 200, cacheStatus };
  }

  sendCached(reply: FastifyReply, { text, cacheStatus, ageS }: CachedResponse, prefer: Prefer): void {
    // Only succeeded predictions are stored. The ETag of a succeeded prediction is its id.
    const id = idIn(text);
    const headers = generalHeaderList(reply.request.id);
    headers.push('cache-status', cacheStatus, 'etag', `"${id}"`, STATUS_HEADER, 'succeeded');
    headers.push('content-location', locationOf(this.#base, id));
    if (ageS !== null) headers.push('age', String(ageS));
    addPreference(headers, prefer);
    this.#sendOut({ reply, code: 200, headers, body: text, encoding: 'latin1' });
  }

  #sendCompleted(reply: FastifyReply, outcome: CompletedOutcome, prefer: Prefer): void {
    const { record, cacheStatus, replayed } = outcome;
    const headers = generalHeaderList(reply.request.id);
    headers.push('cache-status', cacheStatus);
    if (replayed === true) headers.push(REPLAYED, 'true');
    addPreference(headers, prefer);
    headers.push('etag', etagOf(record), STATUS_HEADER, record.status);
    headers.push('content-location', locationOf(this.#base, publicId('pred', record.id)));
    const encoding = rendersAscii(record, this.#base) ? 'latin1' : 'utf8';
    this.#sendOut({ reply, code: 200, headers, body: renderPrediction(record, this.#base), encoding });
  }

  #sendAccepted(reply: FastifyReply, outcome: AcceptedOutcome, prefer: Prefer): void {
    const { record, queue, room, cacheStatus, replayed } = outcome;
    const headers = generalHeaderList(reply.request.id);
    headers.push('cache-status', cacheStatus);
    if (replayed === true) headers.push(REPLAYED, 'true');
    addPreference(headers, prefer);
    headers.push('ratelimit-policy', this.#policy, 'ratelimit', `"queue";r=${room}`);
    headers.push('location', locationOf(this.#base, publicId('pred', record.id)), 'retry-after', retryAfterOf(queue));
    headers.push(STATUS_HEADER, record.status);
    const body = renderPrediction(record, this.#base, queue);
    this.#sendOut({ reply, code: 202, headers, body, encoding: 'utf8' });
  }
}

function addPreference(headers: string[], prefer: Prefer): void {
  const applied = appliedPreference(prefer);
  if (applied !== undefined) headers.push('preference-applied', applied);
}
