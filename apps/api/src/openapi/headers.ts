/** Headers that requests and answers have, for the OpenAPI document. */

interface Header {
  description: string;
  schema: { type: 'string' | 'integer'; pattern?: string; minimum?: number };
  example?: string;
}

const text = (description: string, example?: string, pattern?: string): Header => ({
  description,
  schema: { type: 'string', ...(pattern === undefined ? {} : { pattern }) },
  ...(example === undefined ? {} : { example }),
});

export const REQUEST_HEADERS: Readonly<Record<string, Header>> = {
  Prefer: text(
    'RFC 7240: `wait=N` holds the answer for up to N seconds, 1 to 60; `respond-async` never waits.',
    'wait=10',
  ),
  'Cache-Control': text(
    'RFC 9111: `no-cache` computes afresh and stores; `no-store` neither reads, stores nor shares; `only-if-cached` is 504 ' +
      'when it is not; `max-age=N` takes nothing older.',
    'no-cache',
  ),
  'Idempotency-Key': text(
    'IETF draft: the same key with the same body is the same prediction, for 24 hours. 1 to 255 printable characters.',
    '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
  ),
  'If-None-Match': text('RFC 9110: 304 when it is what you have.'),
  'Last-Event-ID': text('Id of the last event you had; an EventSource sends it by itself.'),
};

export const RESPONSE_HEADERS: Readonly<Record<string, Header>> = {
  Location: text('Where to ask again.', undefined, '^/v1/'),
  'Retry-After': { description: 'Seconds to wait before it.', schema: { type: 'integer', minimum: 1 } },
  'Cache-Status': text('RFC 9211: what the cache did.', 'millrace; hit; ttl=86', '^millrace; '),
  ETag: text('RFC 9110.', undefined, '^"[^"]+"$'),
  Age: { description: 'Seconds since it was computed.', schema: { type: 'integer', minimum: 0 } },
  'Cache-Control': text('How a cache of yours may keep it.'),
  'Preference-Applied': text('RFC 7240: which preference was followed.', 'wait=10'),
  RateLimit: text('IETF draft: how many more predictions the queue takes (`r`).', '"queue";r=1999999'),
  'RateLimit-Policy': text('IETF draft: how many the queue takes in all (`q`).', '"queue";q=2000000'),
  Link: text('RFC 8288: the next page.', '</v1/predictions?cursor=...>; rel="next"'),
  Allow: text('RFC 9110: the methods of this path.', 'GET, HEAD'),
};
