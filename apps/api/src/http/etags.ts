/**
 * Entity tags (RFC 9110): a client reads an unchanged resource as 304, and changes a resource only if nobody else has changed it. The tag
 * of a resource is a hash of its JSON.
 */
import { createHash } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The response with status 200 is the JSON of one resource, and gets its tag. */
    etag?: boolean;
  }
}

const TAG_LENGTH = 22;

export const etagOf = (json: string): string =>
  `"${createHash('sha256').update(json).digest('base64url').slice(0, TAG_LENGTH)}"`;

/** Adds the hook to the routes that are registered later with `etag`. No other route has a hook. */
export function registerEtags(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.etag !== true) return;
    route.onSend = async (request, reply, payload) => {
      if (reply.statusCode !== 200 || typeof payload !== 'string') return payload;
      const etag = etagOf(payload);
      reply.header('etag', etag);
      if (request.method !== 'GET' || !matchesEtag(request.headers['if-none-match'], etag)) return payload;
      reply.code(304).removeHeader('content-type').removeHeader('content-length');
      return null;
    };
  });
}

/** Whether the `If-None-Match` header has the ETag. The comparison is weak. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || tagsOf(header).some((tag) => tag.replace(/^W\//, '') === etag);
}

const tagsOf = (header: string): string[] => header.split(',').map((tag) => tag.trim());

/** Checks the resource as it is when the change is made: its JSON, or null if there is none. Throws `precondition_failed`. */
export type Guard = (json: unknown) => void;

/** The conditions of a change; undefined for a request without a condition. */
export function guardOf({ headers }: FastifyRequest): Guard | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return (json) => {
    const etag = json === null ? null : etagOf(JSON.stringify(json));
    // The comparison of If-Match is strong: a weak tag matches nothing.
    if (ifMatch !== undefined && (etag === null || !(ifMatch.trim() === '*' || tagsOf(ifMatch).includes(etag))))
      throw failed('If-Match', ifMatch, etag);
    if (ifNoneMatch !== undefined && etag !== null && matchesEtag(ifNoneMatch, etag))
      throw failed('If-None-Match', ifNoneMatch, etag);
  };
}

function failed(name: 'If-Match' | 'If-None-Match', got: string, etag: string | null): ApiError {
  const state = etag === null ? 'does not exist' : `has the ETag ${etag}`;
  const detail = `The resource ${state}. Read the resource again, and send the change with its ETag.`;
  const expected = etag === null ? `no ${name}` : name === 'If-Match' ? etag : 'another ETag';
  return new ApiError('precondition_failed', detail, {
    faults: [{ in: 'header', pointer: name, message: 'The condition is not met', expected, got: got.slice(0, 100) }],
  });
}
