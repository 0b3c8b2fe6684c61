/** The error responses of the OpenAPI document: one shared response for each HTTP status, with the codes of the status. */
import { ERRORS, type ErrorCode } from '@millrace/shared/error-table';
import { http } from '@millrace/shared/process/node-http';
import { RESPONSE_HEADERS, type ResponseHeader } from '../http/documented-headers.ts';
import type { Json } from './components.ts';

/** The errors of every route. */
const ANY: readonly ErrorCode[] = [
  'invalid_request',
  'not_found',
  'request_timeout',
  'unsupported_media_type',
  'expectation_failed',
  'invalid_header',
  'headers_too_large',
  'internal',
  'shutting_down',
];
/** The further errors of routes that take an Idempotency-Key. */
const KEYED: readonly ErrorCode[] = ['idempotency_in_progress', 'idempotency_mismatch', 'store_unavailable'];
/** The further errors of routes that accept a body. */
const WITH_BODY: readonly ErrorCode[] = [
  'cross_site_request',
  'invalid_json',
  'json_too_deep',
  'payload_too_large',
  'body_memory_full',
];

export interface ProblemRoute {
  method: string;
  isPublic: boolean;
  isKeyed: boolean;
  errors: readonly ErrorCode[];
}

/** The codes of every error that a route can return. */
export function codesOf({ method, isPublic, isKeyed, errors }: ProblemRoute): ErrorCode[] {
  const general = [...ANY, ...(isPublic ? [] : (['unauthorized'] as const)), ...(method === 'GET' ? [] : WITH_BODY)];
  return [...new Set([...general, ...(isKeyed ? KEYED : []), ...errors])];
}

/** References to the shared responses of some codes, by HTTP status. */
export function problemReferences(codes: readonly ErrorCode[]): Record<string, Json> {
  const statuses = new Set(codes.map((code) => ERRORS[code].status));
  return Object.fromEntries(
    [...statuses].map((status) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }]),
  );
}

/** The shared responses. `problem` is the schema of their body. */
export function problemResponses(problem: unknown): Record<string, Json> {
  const byStatus = Map.groupBy(Object.keys(ERRORS) as ErrorCode[], (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [nameOf(status), problemResponse(status, codes, problem)]),
  );
}

function problemResponse(status: number, codes: readonly ErrorCode[], problem: unknown): Json {
  const later = codes.some((code) => ERRORS[code].retryable && ![500, 504].includes(status));
  const names: ResponseHeader[] = [
    ...(later ? (['Retry-After'] as const) : []),
    ...(status === 429 ? (['RateLimit'] as const) : []),
    ...(status === 504 ? (['Cache-Status'] as const) : []),
    ...(status === 405 ? (['Allow'] as const) : []),
  ];
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' '),
    ...(names.length > 0
      ? { headers: Object.fromEntries(names.map((name) => [name, headerJson(RESPONSE_HEADERS[name])])) }
      : {}),
    content: { 'application/problem+json': { schema: problem } },
  };
}

export const headerJson = ({ description, ...schema }: { description: string }): Json => ({ description, schema });

/** Such as `NotFound` for 404. */
const nameOf = (status: number): string =>
  (http.STATUS_CODES[status] ?? `Status${status}`).replaceAll(/[^A-Za-z]/g, '');
