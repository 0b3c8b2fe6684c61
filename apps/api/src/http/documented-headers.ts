/** The headers of requests and responses, for the OpenAPI document. */

/** A JSON Schema of the header's value. */
interface Header {
  description: string;
  type: 'string' | 'integer';
  pattern?: string;
  minimum?: number;
  examples?: readonly string[];
}

const text = (description: string, example?: string, pattern?: string): Header => ({
  description,
  type: 'string',
  ...(pattern === undefined ? {} : { pattern }),
  ...(example === undefined ? {} : { examples: [example] }),
});

const seconds = (description: string, minimum: number): Header => ({ description, type: 'integer', minimum });

export const REQUEST_HEADERS = {
  Prefer: text(
    'RFC 7240: `wait=N` holds the response for up to N seconds, 1 to 60; `respond-async` alone does not wait.',
    'wait=10',
  ),
  'Cache-Control': text(
    'RFC 9111: `no-cache` computes and stores a new result; `no-store` neither reads, stores nor shares; `only-if-cached` ' +
      'is 504 on a cache miss; `max-age=N` accepts no older result.',
    'no-cache',
  ),
  'Idempotency-Key': text(
    'IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable ' +
      'characters.',
    '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
  ),
  'Request-Id': text('An id of the client, 1 to 128 printable characters. The response and the log have the same id.'),
  'Millrace-Version': text('The version of the API that the client expects, a date.', '2026-12-01'),
  Range: text('RFC 9110: one range of bytes. Another value counts as no range.', 'bytes=0-1023'),
  'If-Range': text(
    'RFC 9110: the range is sent only if the file still has this ETag; otherwise the whole content is sent.',
  ),
  'If-None-Match': text('RFC 9110: the response is 304 if the ETag matches.'),
  'If-Match': text(
    'RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`.',
  ),
  'Last-Event-ID': text('The id of the last received event. An EventSource sends this header automatically.'),
} satisfies Record<string, Header>;
export type RequestHeader = keyof typeof REQUEST_HEADERS;

export const RESPONSE_HEADERS = {
  Location: text('The path or URL of the prediction or resource.', undefined, '^(https?://.+)?/v1/'),
  'Content-Location': text('The path or URL of the prediction in the response.', undefined, '^(https?://.+)?/v1/'),
  'Retry-After': seconds('Seconds to wait before the next request.', 1),
  'Cache-Status': text('RFC 9211: how the cache handled the request.', 'millrace; hit; ttl=86', '^millrace; '),
  ETag: text('RFC 9110.', undefined, '^(W/)?"[^"]+"$'),
  Age: seconds('Seconds since the result was computed.', 0),
  'Cache-Control': text('How a cache of the client may store the response.'),
  'Preference-Applied': text('RFC 7240: the preference that was applied.', 'wait=10'),
  'Millrace-Prediction-Status': text('The `status` of the prediction in the response.', 'succeeded', '^[a-z]+$'),
  RateLimit: text('IETF draft: the number of predictions that the queue still accepts (`r`).', '"queue";r=1999999'),
  'RateLimit-Policy': text('IETF draft: the number of predictions that the queue can hold (`q`).', '"queue";q=2000000'),
  Link: text('RFC 8288: the next page.', '</v1/predictions?cursor=...>; rel="next"'),
  'Idempotent-Replayed': text(
    '`true` if the response repeats the response to an earlier request with the same key.',
    'true',
  ),
  'Request-Id': text(
    'The id of the request: the `Request-Id` that the client sent, or a new id. The log and `request_id` have the same id.',
    'k3v9ab-1f',
  ),
  'Millrace-Version': text('The version of the API.', '2026-12-01'),
  'Accept-Ranges': text('RFC 9110: the unit of ranges.', 'bytes', '^bytes$'),
  'Content-Range': text(
    'RFC 9110: the range in the response, and the bytes of the whole content.',
    'bytes 0-1023/65536',
    '^bytes ',
  ),
  Allow: text('RFC 9110: the methods of this path.', 'GET, HEAD'),
} satisfies Record<string, Header>;
export type ResponseHeader = keyof typeof RESPONSE_HEADERS;
