/**
 * Idempotency keys of every POST of /v1 that creates no prediction: the first request with a key is executed, and a repeated request gets
 * the stored response. Creating a prediction has its own keys, because a key names the prediction there.
 */
import { createHash } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import type {
  Claimed,
  IdempotentRequests,
  KeyedRequest,
  StoredResponse,
} from '@millrace/shared/tenants/idempotent-requests';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { idempotencyKeyOf } from './idempotency-key.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads `Idempotency-Key` itself. */
    ownIdempotencyKeys?: boolean;
  }
  interface FastifyRequest {
    /** The claim of the key; undefined without a key. */
    claimed?: Claimed;
  }
}

export interface IdempotentPosts {
  requests: IdempotentRequests;
  tenantOf(request: FastifyRequest): string;
  log: FastifyBaseLogger;
}

/** The header of a response that repeats an earlier response. */
export const REPLAYED = 'idempotent-replayed';

/** The headers of a response that its repetition has too. */
const KEPT_HEADERS = ['content-type', 'location', 'etag', 'retry-after', 'millrace-prediction-status'];
/** The longest response that is stored, in characters. A request with a longer response is executed again. */
const BODY_MAX = 1_048_576;

/** Whether a key of the route's requests is handled here. */
export const takesIdempotencyKey = ({
  method,
  url,
  config,
}: Pick<RouteOptions, 'method' | 'url' | 'config'>): boolean =>
  method === 'POST' && url.startsWith('/v1/') && config?.ownIdempotencyKeys !== true;

/** Adds the hooks to the routes that are registered later. No other route has a hook. */
export function registerIdempotentPosts(app: FastifyInstance, deps: IdempotentPosts): void {
  const keyed = new WeakMap<FastifyRequest, KeyedRequest>();
  const claim = async (request: FastifyRequest, reply: FastifyReply) => {
    const key = idempotencyKeyOf(request.headers['idempotency-key']);
    if (key === undefined) return undefined;
    const named: KeyedRequest = { tenant: deps.tenantOf(request), key, fingerprint: fingerprintOf(request) };
    const found = await deps.requests.claim(named);
    if (found.kind === 'done') return replay(reply, found.response);
    if (found.kind === 'mismatch') throw mismatch(key);
    if (found.kind === 'busy') throw inProgress(found.retryAfterS);
    keyed.set(request, named);
    request.claimed = found;
    return undefined;
  };
  const settle = async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
    const named = keyed.get(request);
    if (named && request.claimed) await settleClaim(deps, named, { claim: request.claimed.claim, reply, payload });
    return payload;
  };
  app.addHook('onRoute', (route) => {
    if (!takesIdempotencyKey(route)) return;
    route.preHandler = [claim];
    route.onSend = [settle];
  });
}

function replay(reply: FastifyReply, { status, headers, body }: StoredResponse): FastifyReply {
  return reply.code(status).headers(headers).header(REPLAYED, 'true').send(body);
}

interface Ended {
  claim: string;
  reply: FastifyReply;
  payload: unknown;
}

/** Writes the outcome before the response is sent. A failure leaves the claim, which ends by itself. */
async function settleClaim(
  { requests, log }: IdempotentPosts,
  named: KeyedRequest,
  { claim, reply, payload }: Ended,
): Promise<void> {
  const { statusCode: status } = reply;
  try {
    if (status >= 500) await requests.release(named, claim);
    else if (status >= 300) await requests.discard(named, claim);
    else if (typeof payload !== 'string' || payload.length > BODY_MAX) await requests.release(named, claim);
    else await requests.finish(named, claim, { status, headers: keptHeaders(reply), body: payload });
  } catch (error) {
    log.warn({ err: error }, 'the response to a request with an Idempotency-Key could not be stored');
  }
}

function keptHeaders(reply: FastifyReply): Record<string, string> {
  const values = KEPT_HEADERS.map((name) => [name, reply.getHeader(name)]).filter(([, value]) => value !== undefined);
  return Object.fromEntries(values.map(([name, value]) => [name, String(value)]));
}

/** The route and its decoded parameters, and not the text of the URL: several texts lead to one route. */
function fingerprintOf({ routeOptions, params, query, body }: FastifyRequest): string {
  const text = canonicalJson([routeOptions.url ?? '', params ?? {}, query ?? {}, body ?? {}]);
  return createHash('sha256').update(text).digest('hex');
}

const mismatch = (key: string): ApiError =>
  new ApiError('idempotency_mismatch', 'This Idempotency-Key was used with another request. Send a new key.', {
    faults: [
      {
        in: 'header',
        pointer: 'Idempotency-Key',
        message: 'used with another request',
        expected: 'a new key',
        got: key,
      },
    ],
  });

const inProgress = (retryAfterS: number): ApiError =>
  new ApiError(
    'idempotency_in_progress',
    'The first request with this Idempotency-Key is still in progress. Send the request again later.',
    { retryAfterS },
  );
