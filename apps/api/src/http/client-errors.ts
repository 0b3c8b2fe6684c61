/** Responds to requests that Node cannot read, and logs them. These requests never reach a route. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '@millrace/shared/error-table';
import { ApiError, problemOf } from '@millrace/shared/errors';
import type { FastifyBaseLogger } from 'fastify';
import { FIXED_HEADERS } from './general-headers.ts';
import { HEADER_BYTES_MAX } from './http-server.ts';
import { hasOwnLimits } from './own-limits.ts';
import { closeAfterHeld } from './pipelining.ts';

const OF_NODE: Record<string, readonly [ErrorCode, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive in time.'],
  HPE_HEADER_OVERFLOW: ['headers_too_large', `The headers are larger than ${HEADER_BYTES_MAX} bytes.`],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'The chunk extensions of the body are too large.'],
};

export interface ClientErrorDeps {
  requestTimeoutMs: number;
  log: Pick<FastifyBaseLogger, 'debug'>;
}

/** Returns Fastify's `clientErrorHandler`. */
export function createClientErrorHandler({ requestTimeoutMs, log }: ClientErrorDeps) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && (hasOwnLimits(socket) || closeAfterHeld(socket, requestTimeoutMs)))
      return;
    respondToClientError(error, socket, log);
  };
}

function respondToClientError(error: NodeJS.ErrnoException, socket: Socket, log: ClientErrorDeps['log']): void {
  // The client has disconnected, so nobody would read a response.
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [code, detail] = OF_NODE[error.code ?? ''] ?? ['invalid_request', 'This is not an HTTP request.'];
  log.debug({ err: error }, 'a request could not be read');
  const body = problemOf(new ApiError(code, detail));
  const text = JSON.stringify(body);
  if (socket.writable && mayRespond(socket)) {
    const head = [
      `HTTP/1.1 ${body.status} ${body.title}`,
      'Content-Type: application/problem+json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(text)}`,
      ...Object.entries(FIXED_HEADERS).map((pair) => pair.join(': ')),
      'Connection: close',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
  }
  socket.destroySoon();
}

/** Node's name for the response that the connection sends next. */
type HttpSocket = Socket & { _httpMessage?: ServerResponse | null };

/** False where the client would read the refusal as the response to an earlier request, or as a part of a response. */
function mayRespond({ _httpMessage: next }: HttpSocket): boolean {
  return !next || (!next.headersSent && !next.req.complete);
}
