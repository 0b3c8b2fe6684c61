/** Refuses requests with compressed bodies, without a Host header, with too many headers, or for an unknown version. */
import { ApiError } from '@millrace/shared/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { versionRefusal } from './general-headers.ts';

export function registerHeaderLimits(app: FastifyInstance, maxHeaders: number): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request;
    // Many clients add a type to every POST. An empty body has no type that could be wrong.
    if (headers['content-length'] === '0' && headers['content-type'] !== undefined) delete headers['content-type'];
    done(refusalOf(request, maxHeaders) ?? versionRefusal(request));
  });
}

function refusalOf({ headers, raw }: FastifyRequest, maxHeaders: number): ApiError | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    const got = String(encoding).slice(0, 50);
    return new ApiError(
      'unsupported_media_type',
      `Compressed bodies are not accepted; Content-Encoding was '${got}'.`,
      {
        faults: [
          { in: 'header', pointer: 'Content-Encoding', message: 'Not accepted', expected: 'identity, or nothing', got },
        ],
      },
    );
  }
  // RFC 9112 requires the refusal.
  if (headers.host === undefined && raw.httpVersion === '1.1')
    return new ApiError('invalid_request', 'The request has no Host header. Send one, as HTTP/1.1 requires.', {
      faults: [{ in: 'header', pointer: 'Host', message: 'Missing', expected: 'the host of the URL', got: 'nothing' }],
    });
  if (raw.rawHeaders.length <= 2 * maxHeaders) return undefined;
  return new ApiError('headers_too_large', `A request has at most ${maxHeaders} headers.`);
}
