/** Who asks. Without keys everybody is the tenant `default`; with them, what lies under /v1 and /v2 wants one. */
import { createHash } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fromStore } from './stores.ts';

const DEFAULT_TENANT = 'default';
/** How long a process trusts what it knows of a key: a revoked one is refused after that at the latest. */
const TRUST_MS = 5_000;
const KNOWN_MAX = 10_000;
/** Health of the protocol's own, asked by load balancers that have no key. */
const OPEN = /^\/v2\/health\//;

export interface AuthenticationMeans {
  required: boolean;
  /** The tenant of a key; undefined for a key that is not good. */
  tenantOfKey(key: string): Promise<string | undefined>;
  now?: () => number;
}

declare module 'fastify' {
  interface FastifyRequest {
    tenant: string;
  }
}

/** Adds `request.tenant`, and refuses whom it does not know. Gives back how routes ask for it. */
export function registerAuthentication(
  app: FastifyInstance,
  means: AuthenticationMeans,
): (request: FastifyRequest) => string {
  const { required, tenantOfKey, now = Date.now } = means;
  if (!required) return () => DEFAULT_TENANT;
  // Keys by their hash: none of them is to lie about in memory.
  const known = new Map<string, { tenant: Promise<string | undefined>; until: number }>();

  function lookUp(key: string): Promise<string | undefined> {
    const hash = createHash('sha256').update(key).digest('base64');
    const entry = known.get(hash);
    if (entry && entry.until > now()) return entry.tenant;
    if (known.size >= KNOWN_MAX) known.clear();
    const tenant = tenantOfKey(key);
    known.set(hash, { tenant, until: now() + TRUST_MS });
    tenant.catch(() => known.delete(hash));
    return tenant;
  }

  app.decorateRequest('tenant', '');
  app.addHook('onRequest', async (request, reply) => {
    if (!/^\/v[12]\//.test(request.url) || OPEN.test(request.url)) return;
    const [scheme = '', key = ''] = (request.headers.authorization ?? '').split(' ');
    const tenant = scheme.toLowerCase() === 'bearer' ? await fromStore('Postgres', lookUp(key)) : undefined;
    if (tenant === undefined) {
      reply.header('www-authenticate', 'Bearer realm="millrace"');
      throw new ApiError('unauthorized', 'Send a key of yours as `Authorization: Bearer mrk_...`.', {
        faults: [
          {
            pointer: 'Authorization',
            message: 'No key that is known here',
            expected: 'Bearer and a key',
            got: request.headers.authorization === undefined ? 'nothing' : 'something else',
          },
        ],
      });
    }
    request.tenant = tenant;
  });
  return (request) => request.tenant;
}
