/** The table of all errors of the API. Tests compare docs/errors.md and the OpenAPI document with this table. */

export interface ErrorKind {
  status: number;
  title: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  about: string;
}

const kind = (status: number, title: string, retryable: boolean, about: string): ErrorKind => ({
  status,
  title,
  retryable,
  about,
});

export const ERRORS = {
  invalid_json: kind(400, 'The body is not JSON', false, 'The body could not be parsed as JSON.'),
  invalid_request: kind(
    400,
    'The request does not match the schema',
    false,
    'A field is missing, unknown or of the wrong type; `errors` has the field, the expected value and the received value.',
  ),
  json_too_deep: kind(
    400,
    'The body is nested too deeply',
    false,
    'The nesting of arrays and objects exceeds `JSON_DEPTH`.',
  ),
  invalid_header: kind(
    400,
    'A header is not valid',
    false,
    '`Prefer`, `Cache-Control` or `Idempotency-Key` does not match its specification.',
  ),
  invalid_cursor: kind(400, 'The cursor is not valid', false, 'Pass `next` of the previous page without a change.'),
  unauthorized: kind(401, 'An API key is needed', false, 'The key is missing, unknown or revoked.'),
  not_found: kind(404, 'The path does not exist', false, 'The API has no route with this path.'),
  model_not_found: kind(
    404,
    'The model does not exist',
    false,
    'The registry has no model of this name; similar names are in `suggestions`.',
  ),
  version_not_found: kind(404, 'The version does not exist', false, 'The model has no version or alias of this name.'),
  prediction_not_found: kind(
    404,
    'The prediction does not exist',
    false,
    'The id is unknown, of another tenant, or past the retention of the ledger.',
  ),
  entity_not_found: kind(
    404,
    'The entity does not exist',
    false,
    'The entity or its key is unknown; similar names are in `suggestions`.',
  ),
  endpoint_not_found: kind(
    404,
    'The webhook endpoint does not exist',
    false,
    'The id is unknown or of another tenant.',
  ),
  delivery_not_found: kind(
    404,
    'The webhook delivery does not exist',
    false,
    'The id is unknown or of another tenant.',
  ),
  method_not_allowed: kind(405, 'The path does not allow the method', false, '`Allow` lists the allowed methods.'),
  request_timeout: kind(
    408,
    'The request took too long to arrive',
    true,
    'A request must arrive within `REQUEST_TIMEOUT_MS`.',
  ),
  conflict: kind(
    409,
    'The state of the prediction does not allow this action',
    false,
    'Only a failed, canceled or expired prediction can be retried. Only a prediction that is not terminal can be canceled.',
  ),
  idempotency_in_progress: kind(
    409,
    'The first request with this key is in progress',
    true,
    'Send the request again after `Retry-After`.',
  ),
  digest_mismatch: kind(
    409,
    'The version exists with other content',
    false,
    'Versions are immutable: register a new version.',
  ),
  payload_too_large: kind(
    413,
    'The body is too large',
    false,
    'The limits are `BODY_LIMIT` bytes for a body and `JSON_LIMIT` bytes for its JSON. An object has at most `JSON_MEMBERS` members, and a body at most `JSON_ITEMS` members and objects (four arrays, or four members with the names of the previous object, count as one object).',
  ),
  unsupported_media_type: kind(415, 'The media type is not supported', false, 'Send `application/json`, uncompressed.'),
  expectation_failed: kind(
    417,
    'The expectation cannot be met',
    false,
    'The API accepts only `100-continue` as the value of `Expect`.',
  ),
  invalid_input: kind(
    422,
    'The model has no result for the input',
    false,
    'The input matches the schema, but contains for example an unknown name; `errors` has the place and the reason.',
  ),
  idempotency_mismatch: kind(
    422,
    'The idempotency key was used with another request',
    false,
    'Use a new key for a new request.',
  ),
  webhook_refused: kind(
    422,
    'The webhook address is refused',
    false,
    'The URL does not use https, or leads to a private network.',
  ),
  headers_too_large: kind(431, 'The headers are too large', false, 'Send fewer or shorter headers.'),
  queue_full: kind(
    429,
    'The queue is full',
    true,
    'Too many predictions wait for this model, or the memory of the queue Redis is full; nothing was accepted.',
  ),
  deadline_unreachable: kind(
    429,
    'The deadline cannot be met',
    true,
    'The queue takes longer than `expires_in`; nothing was accepted.',
  ),
  internal: kind(500, 'The server has an internal error', true, 'The log has the cause under `request_id`.'),
  model_unavailable: kind(503, 'The model is not available', true, 'The model has no ready version.'),
  store_unavailable: kind(
    503,
    'A store is not available',
    true,
    'Redis or Postgres does not respond; nothing was accepted.',
  ),
  clock_wrong: kind(
    503,
    'The clock of the server is wrong',
    true,
    'The clock of this API process differs from the clock of Postgres by more than `MAX_CLOCK_SKEW_MS`; nothing was accepted.',
  ),
  shutting_down: kind(503, 'The server is stopping', true, 'Send the request again: another process responds.'),
  not_cached: kind(
    504,
    'The result is not in the cache',
    false,
    'The request has `only-if-cached`, and the cache has no result.',
  ),
  inference_failed: kind(
    500,
    'The model failed on this input',
    false,
    'As the `error` of a failed prediction: the model or its handler raised an error.',
  ),
  inference_timeout: kind(
    500,
    'The model took too long',
    false,
    'As the `error` of a failed prediction: the run exceeded `timeout_ms`.',
  ),
  worker_lost: kind(
    500,
    'The workers of the prediction were lost',
    true,
    'As the `error` of a failed prediction: each execution ended with its worker. The prediction can be retried.',
  ),
  expired: kind(504, 'The deadline has passed', true, 'As the `error` of an expired prediction.'),
  canceled: kind(409, 'The prediction was canceled', false, 'As the `error` of a canceled prediction.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** One fault of a request. */
export interface Fault {
  /** JSON pointer into the body, or the name of a header or parameter. */
  pointer: string;
  message: string;
  expected?: string;
  got?: string;
  suggestions?: readonly string[];
}

/** RFC 9457 problem details. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  retryable: boolean;
  errors?: readonly Fault[];
  suggestions?: readonly string[];
  request_id?: string;
}

/** An error for the caller. Every other thrown error becomes an `internal` problem without details. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
  readonly suggestions: readonly string[];
  /** Seconds for `Retry-After`. */
  readonly retryAfterS: number | undefined;
  /** `Cache-Status`, if the code does not determine the value. */
  readonly cacheStatus: string | undefined;
  constructor(
    code: ErrorCode,
    detail: string,
    more: {
      faults?: readonly Fault[];
      suggestions?: readonly string[];
      retryAfterS?: number;
      cacheStatus?: string;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: more.cause });
    this.code = code;
    this.faults = more.faults ?? [];
    this.suggestions = more.suggestions ?? [];
    this.retryAfterS = more.retryAfterS;
    this.cacheStatus = more.cacheStatus;
  }
}

export function problemOf(error: ApiError, requestId?: string): Problem {
  return problem(error.code, error.message, {
    ...(error.faults.length > 0 ? { errors: error.faults } : {}),
    ...(error.suggestions.length > 0 ? { suggestions: error.suggestions } : {}),
    ...(requestId ? { request_id: requestId } : {}),
  });
}

export function problem(code: ErrorCode, detail: string, more: Partial<Problem> = {}): Problem {
  const { status, title, retryable } = ERRORS[code];
  return { type: `urn:millrace:error:${code}`, title, status, code, detail, retryable, ...more };
}
