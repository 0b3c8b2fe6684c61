/** The form of an idempotency key. */
import { ApiError } from '@millrace/shared/errors';

/** Returns the key in the value of a header `Idempotency-Key`; undefined without a header. Throws `invalid_header`. */
export function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  // Nearly every key, without a copy: a cache hit with a key must cost no more than a hit without a key.
  if (typeof header === 'string' && header.length <= MAX && PLAIN.test(header)) return header;
  const key = unquoted(String(header));
  if (isKey(key)) return key;
  throw new ApiError('invalid_header', `Idempotency-Key must have ${FORM}.`, {
    faults: [
      {
        in: 'header',
        pointer: 'Idempotency-Key',
        message: 'Not a valid key',
        expected: FORM,
        got: `${key.length} characters`,
      },
    ],
  });
}

/** Returns the key in a body, in the same form as in the header. Throws `invalid_request`. */
export function idempotencyKeyIn(value: string): string {
  const key = unquoted(value);
  if (isKey(key)) return key;
  throw new ApiError('invalid_request', `idempotency_key must have ${FORM}.`, {
    faults: [
      { pointer: '/idempotency_key', message: 'Not a valid key', expected: FORM, got: `${key.length} characters` },
    ],
  });
}

const FORM = '1 to 255 printable ASCII characters';

const MAX = 255;
/** No spaces at the ends, and no quotes: the header is the key. */
const PLAIN = /^[!#-~]+$/;

// The IETF draft defines a quoted string. Most clients send the key without quotes.
const unquoted = (text: string): string => text.trim().replace(/^"(.*)"$/, '$1');

const isKey = (key: string): boolean => key.length >= 1 && key.length <= MAX && /^[\x20-\x7e]+$/.test(key);
