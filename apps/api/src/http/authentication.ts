/**
 * The tenant of a request. Without API keys every caller is the tenant `default`. Where keys are required, each route needs
 * a key unless its configuration has `public: true`. The route that the router matched decides, never the text of
 * the URL: the router decodes percent-encoding and accepts absolute URLs, so many texts lead to one route.
 */
import { ApiError } from '@millrace/shared/errors';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { mayUseSession, refuseCrossSite, sessionToken } from './browser-requests.ts';
import { RefusalPace } from './refusal-pace.ts';

/** The longest `Authorization` header that is read. A key has at most 53 characters. */
const HEADER_MAX = 200;

type Found = string | undefined;

export interface AuthenticationDeps {
  required: boolean;
  /** The tenant of a key, or undefined for a key that is unknown, revoked or expired. Returns a known tenant without a promise. */
  tenantOfKey(key: string): Found | Promise<Found>;
  /** The tenant of the token of a console session. Absent where the console is off. */
  tenantOfSession?(token: string): Found | Promise<Found>;
}

declare module 'fastify' {
  interface FastifyRequest {
    tenant: string;
  }
  interface FastifyContextConfig {
    /** The route serves callers without an API key. */
    public?: boolean;
  }
}

/**
 * Refuses every request without a valid key with `unauthorized`, also a request that matches no route. Returns the function
 * that gives routes the tenant of a request. The function throws on a public route, which has no tenant.
 */
export function registerAuthentication(
  app: FastifyInstance,
  { required, tenantOfKey, tenantOfSession }: AuthenticationDeps,
): (request: FastifyRequest) => string {
  refuseCrossSite(app);
  if (!required) return () => DEFAULT_TENANT;

  const tenantOfCaller = (request: FastifyRequest): Found | Promise<Found> => {
    // A request with the header never uses the cookie: a wrong key is refused, also in a signed-in browser.
    if (request.headers.authorization !== undefined || tenantOfSession === undefined) {
      const key = keyOf(request);
      return key === undefined ? undefined : tenantOfKey(key);
    }
    const token = sessionToken(request);
    if (token === undefined || !mayUseSession(request)) return undefined;
    return tenantOfSession(token);
  };
  const pace = new RefusalPace();
  app.decorateRequest('tenant', '');
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.public === true) return done();
    const tenant = tenantOfCaller(request);
    const admit = (found: string | undefined): void => {
      request.tenant = found ?? '';
      if (request.tenant !== '') done();
      else pace.run(() => done(unauthorized(request, reply)));
    };
    // A look-up fails also when too many unknown keys wait for Postgres.
    const fail = (error: Error) => pace.run(() => done(error));
    if (tenant instanceof Promise) tenant.then(admit, fail);
    else admit(tenant);
  });

  return (request) => {
    if (request.tenant !== '') return request.tenant;
    throw new Error(
      `${request.method} ${request.routeOptions.url} has no tenant: a public route must not read the tenant.`,
    );
  };
}

function keyOf({ headers }: FastifyRequest): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined || authorization.length > HEADER_MAX) return undefined;
  return /^bearer ([^\s]+)$/i.exec(authorization)?.[1];
}

function unauthorized({ headers }: FastifyRequest, reply: FastifyReply): ApiError {
  reply.header('www-authenticate', 'Bearer realm="millrace"');
  return new ApiError('unauthorized', 'Send your API key as `Authorization: Bearer mrk_...`.', {
    faults: [
      {
        in: 'header',
        pointer: 'Authorization',
        message: 'Not a valid key',
        expected: 'Bearer and a key',
        got: headers.authorization === undefined ? 'nothing' : 'something else',
      },
    ],
  });
}
