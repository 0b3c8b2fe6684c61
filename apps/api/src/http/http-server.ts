/** The HTTP server below Fastify: its time limits, its bounds, and the refusals that Node would otherwise send bare. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { ApiError, problemOf } from '@millrace/shared/errors';
import type { Config } from '@millrace/shared/process/config';
import { http } from '@millrace/shared/process/node-http';
import { fitHeapToConnections } from './connection-memory.ts';
import { FIXED_HEADERS } from './general-headers.ts';
import { boundPipelines, type RequestListener } from './pipelining.ts';

const KEEP_ALIVE_MS = 72_000;
export const HEADER_BYTES_MAX = 16_384;

export type ServerSettings = Pick<Config, 'requestTimeoutMs' | 'connectionTimeoutMs' | 'maxHeaders'>;

/** Requests without `Host` reach `listener`, which must refuse them. */
export function createHttpServer(listener: RequestListener, settings: ServerSettings): Server {
  const { requestTimeoutMs, connectionTimeoutMs, maxHeaders } = settings;
  const server = http.createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node's default of 30 s between checks would add up to 30 s to every timeout.
      connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
      // Node's own refusal has no body, and ignores the limit on pipelined requests.
      requireHostHeader: false,
    },
    boundPipelines(listener),
  );
  // A client that has sent its last request may end its side of the connection, and still reads the responses. Node would close
  // the connection without a response. See client-disconnect.ts for requests that wait.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('checkExpectation', boundPipelines(refuseExpectation));
  fitHeapToConnections(server);
  server.setTimeout(connectionTimeoutMs);
  // Node silently drops the headers beyond the limit. One header more is read, so that the listener can refuse the request.
  server.maxHeadersCount = maxHeaders + 1;
  return server;
}

function refuseExpectation({ headers }: IncomingMessage, response: ServerResponse): void {
  const got = String(headers.expect).slice(0, 100);
  const body = problemOf(
    new ApiError('expectation_failed', `The API cannot meet 'Expect: ${got}'. Leave the header out.`, {
      faults: [{ in: 'header', pointer: 'Expect', message: 'Not known', expected: '100-continue, or no header', got }],
    }),
  );
  const text = JSON.stringify(body);
  response
    .writeHead(body.status, {
      ...FIXED_HEADERS,
      'content-type': 'application/problem+json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text);
}
