/** Predictions: ask for one, fetch one, wait for one. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Text } from '@millrace/shared/predictions/long-text';
import {
  isTerminal,
  type PredictionRecord,
  type QueueEstimate,
  renderPrediction,
} from '@millrace/shared/predictions/prediction';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { CachedAnswer, KnownAnswer } from '../cache/cache-lookup.ts';
import type { ParsedRequests } from '../cache/parsed-requests.ts';
import { disconnectSignal, NEVER_DISCONNECTS } from '../http/client-disconnect.ts';
import { type Prefer, parseCacheControl, parsePrefer, WAIT_MAX_S } from '../http/request-headers.ts';
import type { HttpMetrics } from '../http/request-metrics.ts';
import { createResponseBatch, type SendOut } from '../http/response-batch.ts';
import type { App } from '../http/type-provider.ts';
import { sendText } from '../http/write-text.ts';
import { ModelParams, VersionParams } from '../models/schemas.ts';
import type { Predict } from './create-prediction.ts';
import type { Finder, Found } from './find-prediction.ts';
import type { Outcome } from './outcome.ts';
import { bringsItsOwn, type PredictionBody, type PredictionRequest } from './prediction-request.ts';
import { GetQuery, IdParams, PredictionRequestBody } from './schemas.ts';

export interface PredictionRoutes {
  log: FastifyBaseLogger;
  predict: Predict;
  knownAnswer: KnownAnswer;
  parsedRequests: ParsedRequests;
  finder: Finder;
  tenantOf(request: FastifyRequest): string;
  limits: { maxMetadata: number; maxQueue: number };
  metrics: HttpMetrics;
}

type CreateRequest = FastifyRequest<{ Params: { model: string; version?: string }; Body: PredictionBody }>;

/** What is counted for a caller who left before the answer: nothing was sent. */
const GONE = 499;
const CREATE = 'POST /v1/models/:model/predictions';
const CREATE_PINNED = 'POST /v1/models/:model/versions/:version/predictions';

export function registerPredictions(app: App, deps: PredictionRoutes): void {
  const { predict, knownAnswer, parsedRequests, finder, tenantOf, limits, metrics } = deps;
  const sendOut = createResponseBatch(deps.log);
  const policy = `"queue";q=${limits.maxQueue}`;

  function create(request: CreateRequest, reply: FastifyReply): Promise<FastifyReply> | undefined {
    const startedAt = performance.now();
    const { body, headers } = request;
    checkBody(body, limits.maxMetadata);
    const { model, version } = request.params;
    const asked: PredictionRequest = {
      tenant: tenantOf(request),
      model,
      version,
      body,
      prefer: parsePrefer(headers.prefer),
      cacheControl: parseCacheControl(headers['cache-control']),
      idempotencyKey: idempotencyKeyOf(request),
      signal: NEVER_DISCONNECTS,
    };
    const known = bringsItsOwn(asked) ? undefined : knownAnswer(asked.tenant, model, version, body, asked.cacheControl);
    if (known !== undefined) {
      metrics.predicted(version === undefined ? CREATE : CREATE_PINNED, model, 200, known.cacheStatus, startedAt);
      sendCached(sendOut, reply, known, asked.prefer);
      return undefined;
    }
    asked.signal = disconnectSignal(reply, asked.prefer.waitS !== null);
    return Promise.resolve(predict(asked)).then((outcome) => answer(request, reply, asked, outcome, startedAt));
  }

  function answer(
    { bodyText: text }: FastifyRequest,
    reply: FastifyReply,
    { tenant, model, version, body, prefer }: PredictionRequest,
    outcome: Outcome,
    startedAt: number,
  ): FastifyReply {
    const route = version === undefined ? CREATE : CREATE_PINNED;
    if (outcome.kind === 'gone') {
      metrics.predicted(route, model, GONE, null, startedAt);
      return reply;
    }
    if (outcome.kind !== 'cached') {
      const status = send(sendOut, reply, outcome, prefer, policy);
      metrics.predicted(route, model, status, outcome.cacheStatus, startedAt);
      return reply;
    }
    metrics.predicted(route, model, 200, outcome.cacheStatus, startedAt);
    const { plan, digest } = outcome;
    parsedRequests.remember({ text, body, schema: PredictionRequestBody, tenant, digest, plan });
    sendCached(sendOut, reply, outcome, prefer);
    return reply;
  }

  // A hook that counts would cost more than the counting: these two do it themselves.
  const config = { countsItself: true };
  app.post(
    '/v1/models/:model/predictions',
    { schema: { params: ModelParams, body: PredictionRequestBody }, config },
    create,
  );
  app.post(
    '/v1/models/:model/versions/:version/predictions',
    { schema: { params: VersionParams, body: PredictionRequestBody }, config },
    create,
  );

  app.get('/v1/predictions/:id', { schema: { params: IdParams, querystring: GetQuery } }, async (request, reply) => {
    const { id } = request.params;
    const { wait } = request.query;
    const prefer = parsePrefer(request.headers.prefer);
    const waitS = prefer.respondAsync ? null : (prefer.waitS ?? wait ?? null);
    const tenant = tenantOf(request);
    let found = await finder.get(tenant, id);
    if (waitS && !isTerminal(found.record.status)) {
      const awaited = await finder.await(tenant, found.record, waitS * 1000, disconnectSignal(reply, true));
      if (awaited === null) return reply;
      found = awaited;
    }
    preferenceApplied(reply, prefer);
    if (!isTerminal(found.record.status)) return sendPending(reply, found.record, found.queue, 202);
    const etag = etagOf(found.record);
    reply.header('etag', etag).header('cache-control', 'private, no-cache');
    if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send();
    return json(reply, 200, renderPrediction(found.record));
  });
}

function checkBody(body: PredictionBody, maxMetadata: number): void {
  if ((body.input === undefined) === (body.inputs === undefined)) {
    const got = body.input === undefined ? 'neither' : 'both';
    throw new ApiError('invalid_request', `The body must have either input or inputs, and has ${got}.`, {
      faults: [
        {
          pointer: body.input === undefined ? '/input' : '/inputs',
          message: 'One of input and inputs is needed',
          expected: 'input or inputs',
          got,
        },
      ],
    });
  }
  const size = body.metadata === undefined ? 0 : Buffer.byteLength(JSON.stringify(body.metadata));
  if (size > maxMetadata)
    throw new ApiError('invalid_request', `metadata is at most ${maxMetadata} bytes of JSON, and this is ${size}.`, {
      faults: [
        { pointer: '/metadata', message: 'Too large', expected: `at most ${maxMetadata} bytes`, got: `${size} bytes` },
      ],
    });
}

function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return undefined;
  // The draft has a structured-field string, in quotes; most clients send it bare.
  const key = String(header)
    .trim()
    .replace(/^"(.*)"$/, '$1');
  if (key.length >= 1 && key.length <= 255 && /^[\x20-\x7e]+$/.test(key)) return key;
  throw new ApiError('invalid_header', 'Idempotency-Key is 1 to 255 printable characters.', {
    faults: [
      {
        pointer: 'Idempotency-Key',
        message: 'Not usable as a key',
        expected: '1 to 255 printable ASCII characters',
        got: `${key.length} characters`,
      },
    ],
  });
}

function sendCached(sendOut: SendOut, reply: FastifyReply, outcome: CachedAnswer, prefer: Prefer): void {
  const { text, cacheStatus, ageS } = outcome;
  // The body begins {"id":"<36 characters>", and its attempts do not matter: it succeeded, so it is the last.
  const headers = ['cache-status', cacheStatus, 'etag', `"${String(text.slice(7, 43))}"`];
  if (ageS !== null) headers.push('age', String(ageS));
  addPreference(headers, prefer);
  sendOut(reply, 200, headers, text, 'latin1');
}

/** Gives the status that was sent. `policy` is the RateLimit-Policy of the queue. */
function send(
  sendOut: SendOut,
  reply: FastifyReply,
  outcome: Exclude<Outcome, { kind: 'cached' | 'gone' }>,
  prefer: Prefer,
  policy: string,
): number {
  const { record } = outcome;
  const headers = ['cache-status', outcome.cacheStatus];
  addPreference(headers, prefer);
  if (outcome.kind === 'answered') {
    headers.push('etag', etagOf(record));
    sendOut(reply, 200, headers, renderPrediction(record), 'utf8');
    return 200;
  }
  headers.push('ratelimit-policy', policy, 'ratelimit', `"queue";r=${outcome.room}`);
  headers.push('location', locationOf(record), 'retry-after', retryAfterOf(outcome.queue));
  sendOut(reply, 202, headers, renderPrediction(record, outcome.queue), 'utf8');
  return 202;
}

function addPreference(headers: string[], prefer: Prefer): void {
  const applied = appliedPreference(prefer);
  if (applied !== undefined) headers.push('preference-applied', applied);
}

/** A prediction that was looked up: 200 when it is terminal, else 202 with where and when to ask again. */
export function sendFound(reply: FastifyReply, { record, queue }: Found): FastifyReply {
  if (!isTerminal(record.status)) return sendPending(reply, record, queue, 202);
  reply.header('etag', etagOf(record));
  return json(reply, 200, renderPrediction(record));
}

function sendPending(
  reply: FastifyReply,
  record: PredictionRecord,
  queue: QueueEstimate | undefined,
  code: number,
): FastifyReply {
  reply.header('location', locationOf(record)).header('retry-after', retryAfterOf(queue));
  return json(reply, code, renderPrediction(record, queue));
}

const locationOf = ({ id }: PredictionRecord): string => `/v1/predictions/${id}`;

function retryAfterOf(queue: QueueEstimate | undefined): string {
  const seconds = queue ? Math.ceil((queue.estimatedCompletionAt - sharedNow()) / 1000) : 1;
  return String(Math.max(1, Math.min(seconds, 60)));
}

function preferenceApplied(reply: FastifyReply, prefer: Prefer): void {
  const applied = appliedPreference(prefer);
  if (applied !== undefined) reply.header('preference-applied', applied);
}

function appliedPreference(prefer: Prefer): string | undefined {
  if (prefer.respondAsync) return 'respond-async';
  return prefer.waitS === null ? undefined : `wait=${Math.min(prefer.waitS, WAIT_MAX_S)}`;
}

/** A prediction that is canceled before it runs, retried and canceled again has another end with the same attempts. */
function etagOf({ id, status, attempts, opening }: PredictionRecord): string {
  if (status === 'succeeded') return `"${id}"`;
  return opening === 0 ? `"${id}.${attempts}.${status}"` : `"${id}.${opening}-${attempts}.${status}"`;
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

function json(reply: FastifyReply, code: number, body: Text): FastifyReply {
  return sendText(reply.code(code).header('content-type', 'application/json; charset=utf-8'), body);
}
