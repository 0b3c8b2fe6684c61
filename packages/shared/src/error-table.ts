/** The table of all errors of the API. Tests compare docs/errors.md and the OpenAPI document with this table. */

export interface ErrorKind {
  status: number;
  title: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  about: string;
}

export const ERRORS = {
  invalid_json: {
    status: 400,
    title: 'The body is not JSON',
    retryable: false,
    about: 'The body could not be parsed as JSON.',
  },
  invalid_request: {
    status: 400,
    title: 'The request does not match the schema',
    retryable: false,
    about:
      'A field is missing, unknown or of the wrong type; `errors` has the field, the expected value and the received value.',
  },
  json_too_deep: {
    status: 400,
    title: 'The body is nested too deeply',
    retryable: false,
    about: 'The nesting of arrays and objects exceeds `JSON_DEPTH`.',
  },
  invalid_header: {
    status: 400,
    title: 'A header is not valid',
    retryable: false,
    about: '`Prefer`, `Cache-Control` or `Idempotency-Key` does not match its specification.',
  },
  invalid_cursor: {
    status: 400,
    title: 'The cursor is not valid',
    retryable: false,
    about: 'Pass `next` of the previous page without a change.',
  },
  unauthorized: {
    status: 401,
    title: 'An API key is needed',
    retryable: false,
    about: 'The key is missing, unknown or revoked.',
  },
  cross_site_request: {
    status: 403,
    title: 'The request comes from a page of another site',
    retryable: false,
    about:
      'A browser sent a request that changes data from a page of another origin, and without an API key. Send the request from a server, or with a key.',
  },
  not_found: {
    status: 404,
    title: 'The path does not exist',
    retryable: false,
    about: 'The API has no route with this path.',
  },
  model_not_found: {
    status: 404,
    title: 'The model does not exist',
    retryable: false,
    about: 'The registry has no model of this name; similar names are in `suggestions`.',
  },
  version_not_found: {
    status: 404,
    title: 'The version does not exist',
    retryable: false,
    about: 'The model has no version or alias of this name.',
  },
  prediction_not_found: {
    status: 404,
    title: 'The prediction does not exist',
    retryable: false,
    about: 'The id is unknown, of another tenant, or past the retention of the ledger.',
  },
  file_not_found: {
    status: 404,
    title: 'The file does not exist',
    retryable: false,
    about: 'The id is unknown, of another tenant, deleted, or past `expires_at`.',
  },
  files_not_configured: {
    status: 404,
    title: 'The server has no file store',
    retryable: false,
    about: 'The operator has not set `FILES_URL`, so the server keeps no files. Send the bytes in the request instead.',
  },
  alias_not_found: {
    status: 404,
    title: 'The alias does not exist',
    retryable: false,
    about: 'The model has no such alias.',
  },
  entity_type_not_found: {
    status: 404,
    title: 'The type of entity does not exist',
    retryable: false,
    about: 'The version of the model reads no entities of this type; `suggestions` has the types.',
  },
  entity_not_found: {
    status: 404,
    title: 'The entity does not exist',
    retryable: false,
    about: 'The entity or its key is unknown; similar names are in `suggestions`.',
  },
  endpoint_not_found: {
    status: 404,
    title: 'The webhook endpoint does not exist',
    retryable: false,
    about: 'The id is unknown or of another tenant.',
  },
  delivery_not_found: {
    status: 404,
    title: 'The webhook delivery does not exist',
    retryable: false,
    about: 'The id is unknown or of another tenant.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The path does not allow the method',
    retryable: false,
    about: '`Allow` lists the allowed methods.',
  },
  request_timeout: {
    status: 408,
    title: 'The request took too long to arrive',
    retryable: true,
    about: 'A request must arrive within `REQUEST_TIMEOUT_MS`.',
  },
  cursor_expired: {
    status: 410,
    title: 'The cursor has expired',
    retryable: false,
    about: 'The events after the cursor are older than `RETENTION_DAYS`. Read the feed without a cursor.',
  },
  precondition_failed: {
    status: 412,
    title: 'The resource has changed',
    retryable: false,
    about: 'The ETag in `If-Match` is not the ETag of the resource. Read the resource again, and repeat the change.',
  },
  prediction_terminal: {
    status: 409,
    title: 'The prediction has ended',
    retryable: false,
    about: 'Only a prediction that has not ended can be canceled.',
  },
  prediction_not_terminal: {
    status: 409,
    title: 'The prediction cannot be retried',
    retryable: false,
    about: 'Only a failed, canceled or expired prediction can be retried, while its input is stored.',
  },
  alias_conflict: {
    status: 409,
    title: 'The alias conflicts with a version',
    retryable: false,
    about:
      'An alias has a name that no version of the model has, and a version to which an alias points stays in service.',
  },
  endpoint_disabled: {
    status: 409,
    title: 'The webhook endpoint is disabled or was deleted',
    retryable: false,
    about: 'Enable the endpoint first.',
  },
  version_failed: {
    status: 409,
    title: 'The version cannot be served',
    retryable: false,
    about: 'The version failed or was retired; `detail` has the reason. Register a repaired version.',
  },
  idempotency_in_progress: {
    status: 409,
    title: 'The first request with this key is in progress',
    retryable: true,
    about: 'Send the request again after `Retry-After`.',
  },
  digest_mismatch: {
    status: 409,
    title: 'The version exists with other content',
    retryable: false,
    about:
      'No response has this code: the log of a worker has the refusal of changed files. Put new content into a new version folder.',
  },
  files_full: {
    status: 409,
    title: 'The tenant has no room for the file',
    retryable: false,
    about:
      'The files of a tenant take at most `FILES_PER_TENANT` bytes and are at most 100,000. Delete files, or wait until files expire.',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    retryable: false,
    about:
      'The limits are `FILE_LIMIT` bytes for a file, `BODY_LIMIT` bytes for any other body and `JSON_LIMIT` bytes for its JSON. An object has at most `JSON_MEMBERS` members, and a body at most `JSON_ITEMS` members and objects (four arrays, or four members with the names of the previous object, count as one object).',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The media type is not supported',
    retryable: false,
    about:
      'Send `application/json`, uncompressed. The routes that create a prediction also take `multipart/form-data`, and uploads of files take every type.',
  },
  range_not_satisfiable: {
    status: 416,
    title: 'The range is outside the file',
    retryable: false,
    about: 'The file has no byte in the requested `Range`; `Content-Range` has its size.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation cannot be met',
    retryable: false,
    about: 'The API accepts only `100-continue` as the value of `Expect`.',
  },
  invalid_input: {
    status: 422,
    title: 'The model has no result for the input',
    retryable: false,
    about:
      'The input matches the schema, but contains for example an unknown name; `errors` has the place and the reason. Also as the `error` of a failed prediction, for example for a damaged image.',
  },
  image_refused: {
    status: 422,
    title: 'The image is refused',
    retryable: false,
    about:
      'The URL of an image is not https, points to a private network or redirects too often, or its response is no image or larger than `IMAGE_LIMIT`; or a file is larger.',
  },
  image_unavailable: {
    status: 422,
    title: 'The image could not be fetched',
    retryable: true,
    about:
      'The server of the URL does not respond within `IMAGE_TIMEOUT_MS`, or responds with an error. Send the bytes in the request instead.',
  },
  invalid_metadata: {
    status: 422,
    title: 'The metadata are not valid',
    retryable: false,
    about:
      '`metadata` is a flat map of at most 50 strings, with keys of 1 to 40 characters, values of at most 500 characters, and at most `MAX_METADATA` bytes of JSON. `errors` names the key.',
  },
  idempotency_mismatch: {
    status: 422,
    title: 'The idempotency key was used with another request',
    retryable: false,
    about: 'Use a new key for a new request.',
  },
  webhook_refused: {
    status: 422,
    title: 'The webhook address is refused',
    retryable: false,
    about: 'The URL does not use https, or leads to a private network.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    retryable: false,
    about: 'Send fewer or shorter headers.',
  },
  queue_full: {
    status: 429,
    title: 'The queue is full',
    retryable: true,
    about:
      'Too many predictions wait for this model, too many inputs wait for handlers, the memory of the queue Redis is full, or Postgres has too many large inputs of open predictions; nothing was accepted.',
  },
  body_memory_full: {
    status: 429,
    title: 'The API holds too many bytes of requests',
    retryable: true,
    about: 'The bodies of the requests in progress take `BODY_MEMORY`; nothing was accepted.',
  },
  too_many_uploads: {
    status: 429,
    title: 'Too many uploads are in progress',
    retryable: true,
    about:
      'The API process receives as many files as its limit allows, or the tenant sends as many files as one tenant may send at once; nothing was accepted.',
  },
  deadline_unreachable: {
    status: 429,
    title: 'The deadline cannot be met',
    retryable: true,
    about: 'The queue takes longer than `expires_in`; nothing was accepted.',
  },
  internal: {
    status: 500,
    title: 'The server has an internal error',
    retryable: true,
    about: 'The log has the cause under `request_id`.',
  },
  handler_failed: {
    status: 500,
    title: 'The handler of the model failed on this input',
    retryable: false,
    about:
      '`canonicalize` of the handler raised an error; `detail` names the version and the line, `errors` the input, and the log has the stack. Nothing was accepted.',
  },
  handler_timeout: {
    status: 500,
    title: 'The handler of the model took too long',
    retryable: false,
    about: '`canonicalize` of the handler exceeded `HANDLER_TIMEOUT_MS` for an input. Nothing was accepted.',
  },
  model_unavailable: {
    status: 503,
    title: 'The model is not available',
    retryable: true,
    about: 'The model has no ready version.',
  },
  store_unavailable: {
    status: 503,
    title: 'A store is not available',
    retryable: true,
    about:
      'Redis or Postgres does not respond. Nothing was accepted, unless the problem has a `prediction_id`: this prediction may exist.',
  },
  clock_wrong: {
    status: 503,
    title: 'The clock of the server is wrong',
    retryable: true,
    about:
      'The clock of this API process differs from the clock of Postgres by more than `MAX_CLOCK_SKEW_MS`; nothing was accepted.',
  },
  shutting_down: {
    status: 503,
    title: 'The server is stopping',
    retryable: true,
    about: 'Send the request again: another process responds.',
  },
  not_cached: {
    status: 504,
    title: 'The result is not in the cache',
    retryable: false,
    about: 'The request has `only-if-cached`, and the cache has no result.',
  },
  inference_failed: {
    status: 500,
    title: 'The model failed on this input',
    retryable: false,
    about: 'As the `error` of a failed prediction: the model or its handler raised an error.',
  },
  inference_timeout: {
    status: 500,
    title: 'The model took too long',
    retryable: false,
    about: 'As the `error` of a failed prediction: the run exceeded `timeout_ms`.',
  },
  worker_lost: {
    status: 500,
    title: 'The workers of the prediction were lost',
    retryable: true,
    about:
      'As the `error` of a failed prediction: each execution ended with its worker. The prediction can be retried.',
  },
  expired: {
    status: 504,
    title: 'The deadline has passed',
    retryable: true,
    about: 'As the `error` of an expired prediction.',
  },
  canceled: {
    status: 409,
    title: 'The prediction was canceled',
    retryable: false,
    about: 'As the `error` of a canceled prediction.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;
