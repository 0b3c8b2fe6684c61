/**
 * The headers of every response: `X-Content-Type-Options`, so that no browser shows JSON with a caller's text as a page;
 * `Request-Id`, which is also in the log; and `Millrace-Version`, the version of the contract.
 */
import type { IncomingMessage } from 'node:http';
import { ApiError } from '@millrace/shared/errors';
import { API_VERSION } from '@millrace/shared/predictions/event-constants';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const FIXED = { 'x-content-type-options': 'nosniff', 'millrace-version': API_VERSION } as const;
const REQUEST_ID = 'request-id';

/** For responses to requests that have no id. */
export const FIXED_HEADERS: Readonly<Record<string, string>> = FIXED;
/** For responses that do not pass through Fastify's reply. */
export const generalHeaders = (requestId: string) => ({ ...FIXED, [REQUEST_ID]: requestId });

/**
 * The same headers as a list of names and values in turn, for a response of JSON. Other headers are pushed to the list: one list for
 * each response is cheaper than two lists that are joined.
 */
export const generalHeaderList = (requestId: string): string[] => [
  'x-content-type-options',
  FIXED['x-content-type-options'],
  'millrace-version',
  FIXED['millrace-version'],
  REQUEST_ID,
  requestId,
  'content-type',
  'application/json; charset=utf-8',
];

/** Covers every reply of Fastify, except replies to requests that Fastify cannot route. */
export function registerGeneralHeaders(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    reply.headers(generalHeaders(request.id));
  });
}

/** Ids of clients are short and printable, so that a log line or a header shows them as sent. */
const ID_OF_CLIENT = /^[\x21-\x7e]{1,128}$/;

/** Returns Fastify's `genReqId`: the client's own `Request-Id`, or a new id. */
export function createRequestIds(): (request: IncomingMessage) => string {
  const process = Math.random().toString(36).slice(2, 8);
  let number = 0;
  return ({ headers }) => {
    const own = headers[REQUEST_ID];
    if (typeof own === 'string' && ID_OF_CLIENT.test(own)) return own;
    number += 1;
    return `${process}-${number.toString(36)}`;
  };
}

/** Refuses a version of the contract that this process does not serve. A request without the header gets the only version. */
export function versionRefusal({ headers }: FastifyRequest): ApiError | undefined {
  const wanted = headers['millrace-version'];
  if (wanted === undefined || wanted === API_VERSION) return undefined;
  const got = String(wanted).slice(0, 50);
  const detail = `This server has no version '${got}' of the API. Send 'Millrace-Version: ${API_VERSION}', or leave the header out.`;
  return new ApiError('invalid_header', detail, {
    faults: [{ in: 'header', pointer: 'Millrace-Version', message: 'Not a known version', expected: API_VERSION, got }],
  });
}
