/**
 * Requests of browsers. A browser adds the cookie of a session and the address of its network to requests of any page. So no
 * page of another origin may change data in the name of a signed-in user, or on a server that requires no keys.
 */
import { ApiError } from '@millrace/shared/errors';
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify';

export const SESSION_COOKIE = 'millrace-session';
/** The console sends this header with each change. A form of another page cannot send the header. */
const CONSOLE_HEADER = 'millrace-console';
/** The longest `Cookie` header that is read. */
const COOKIE_MAX = 16_384;

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const OTHER_ORIGINS: ReadonlySet<unknown> = new Set(['cross-site', 'same-site']);

/** Refuses changes that a browser sends for a page of another origin. A request with an API key states its own right. */
export function refuseCrossSite(app: FastifyInstance): void {
  const refuse: onRequestHookHandler = ({ headers }, _reply, done) => {
    if (headers.authorization !== undefined || !OTHER_ORIGINS.has(headers['sec-fetch-site'])) return done();
    const detail = `A page of another origin sent this request (Sec-Fetch-Site: ${headers['sec-fetch-site']}). Send the request from a server, or with an API key.`;
    done(new ApiError('cross_site_request', detail));
  };
  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat();
    if (methods.every((method) => READS.has(method))) return;
    route.onRequest = [refuse, ...[route.onRequest ?? []].flat()];
  });
}

/** The token of the cookie; undefined without the cookie, and for two cookies of the name. */
export function sessionToken({ headers }: FastifyRequest): string | undefined {
  const { cookie } = headers;
  if (cookie === undefined || cookie.length > COOKIE_MAX) return undefined;
  const values = cookie
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([name]) => name === SESSION_COOKIE);
  return values.length === 1 ? values[0]?.slice(1).join('=') : undefined;
}

/** Whether a request may use the cookie of its browser: every read, and a change that the console itself sends. */
export const mayUseSession = ({ method, headers }: FastifyRequest): boolean =>
  READS.has(method) || headers[CONSOLE_HEADER] !== undefined;
