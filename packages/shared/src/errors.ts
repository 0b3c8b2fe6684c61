/** Every error that a caller can meet: one table, to which docs/errors.md and OpenAPI are held by test. */

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
    'The request is not of the right form',
    false,
    'A field is missing, unknown or of the wrong type; `errors` says which, what was expected and what came.',
  ),
  json_too_deep: kind(
    400,
    'The body is nested too deep',
    false,
    'Arrays and objects may nest as deep as `JSON_DEPTH` says.',
  ),
  invalid_header: kind(
    400,
    'A header cannot be used',
    false,
    '`Prefer`, `Cache-Control` or `Idempotency-Key` is not of the form its specification gives.',
  ),
  invalid_cursor: kind(400, 'The cursor is not one of ours', false, 'Pass `next` of the page before, unchanged.'),
  unauthorized: kind(401, 'An API key is needed', false, 'The key is missing, unknown or revoked.'),
  not_found: kind(404, 'There is no such page', false, 'The path is not one of the API.'),
  model_not_found: kind(
    404,
    'There is no such model',
    false,
    'The name is not in the registry; near names are in `suggestions`.',
  ),
  version_not_found: kind(404, 'There is no such version', false, 'The model has no version or alias of that name.'),
  prediction_not_found: kind(
    404,
    'There is no such prediction',
    false,
    'The id is unknown, of another tenant, or past the retention of the ledger.',
  ),
  entity_not_found: kind(
    404,
    'There is no such entity',
    false,
    'The entity or its key is unknown; near names are in `suggestions`.',
  ),
  endpoint_not_found: kind(404, 'There is no such webhook endpoint', false, 'The id is unknown or of another tenant.'),
  delivery_not_found: kind(404, 'There is no such webhook delivery', false, 'The id is unknown or of another tenant.'),
  method_not_allowed: kind(405, 'The method is not allowed here', false, '`Allow` names those that are.'),
  request_timeout: kind(
    408,
    'The request took too long to arrive',
    true,
    'It must arrive within `REQUEST_TIMEOUT_MS`.',
  ),
  conflict: kind(
    409,
    'The state does not allow it',
    false,
    'A prediction that is not terminal, or succeeded, cannot be retried; a terminal one cannot be canceled.',
  ),
  idempotency_in_progress: kind(
    409,
    'The first request with this key is still under way',
    true,
    'Ask again after `Retry-After`.',
  ),
  digest_mismatch: kind(
    409,
    'The version exists with other content',
    false,
    'Versions are immutable: register a new one.',
  ),
  payload_too_large: kind(
    413,
    'The body is too large',
    false,
    'The limit is `JSON_LIMIT` bytes for JSON, with at most `JSON_MEMBERS` members in an object and `JSON_ITEMS` members and objects in all (four arrays count as one), and `BODY_LIMIT` for all else.',
  ),
  unsupported_media_type: kind(415, 'The media type is not supported', false, 'Send `application/json`, uncompressed.'),
  expectation_failed: kind(
    417,
    'The expectation cannot be met',
    false,
    'The only value of `Expect` that the API meets is `100-continue`.',
  ),
  invalid_input: kind(
    422,
    'The input cannot be answered',
    false,
    'The input has the right form and still no answer, such as an unknown name; `errors` says where and why.',
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
    'It is not https, or it leads to a private network.',
  ),
  headers_too_large: kind(431, 'The headers are too large', false, 'Send fewer or shorter headers.'),
  queue_full: kind(429, 'The queue is full', true, 'Too many predictions wait for this model; nothing was accepted.'),
  deadline_unreachable: kind(
    429,
    'The deadline cannot be met',
    true,
    '`expires_in` is shorter than the queue takes; nothing was accepted.',
  ),
  internal: kind(500, 'Something went wrong here', true, 'The cause is in the log under `request_id`.'),
  model_unavailable: kind(503, 'The model cannot serve now', true, 'No version of it is ready.'),
  store_unavailable: kind(
    503,
    'A store is out of reach',
    true,
    'Redis or Postgres does not answer; nothing was accepted.',
  ),
  clock_wrong: kind(
    503,
    'The clock of the server is wrong',
    true,
    'The clock of this API process differs from the clock of Postgres by more than `MAX_CLOCK_SKEW_MS`; nothing was accepted.',
  ),
  shutting_down: kind(503, 'The server is stopping', true, 'Ask again: another one answers.'),
  not_cached: kind(504, 'The answer is not in the cache', false, '`only-if-cached` was asked, and it is not.'),
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
    'As the `error` of a failed prediction: the run was ended at `timeout_ms`.',
  ),
  worker_lost: kind(
    500,
    'Its workers were lost',
    true,
    'As the `error` of a failed prediction: each execution ended with its worker. It can be retried.',
  ),
  expired: kind(504, 'The deadline has passed', true, 'As the `error` of an expired prediction.'),
  canceled: kind(409, 'It was canceled', false, 'As the `error` of a canceled prediction.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** One thing that is wrong with a request. */
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

/** An error that the caller is to see. Anything else that is thrown becomes a bare `internal`. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
  readonly suggestions: readonly string[];
  /** Seconds for `Retry-After`. */
  readonly retryAfterS: number | undefined;
  /** `Cache-Status`, where that is not told by the code. */
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
