/** The rules for the body of a new prediction that its schema cannot express. */

import { ApiError } from '@millrace/shared/errors';
import { escapePart } from '@millrace/shared/text/json-pointer';
import { shown } from '../http/validation.ts';
import type { PredictionBody } from './prediction-request.ts';

/** Throws `invalid_request` and `invalid_metadata`. `maxMetadata` is the largest size of the metadata in bytes of JSON. */
export function checkBody(body: PredictionBody, maxMetadata: number): void {
  if ((body.input === undefined) === (body.inputs === undefined)) {
    const got = body.input === undefined ? 'neither' : 'both';
    throw new ApiError('invalid_request', `The body must have either input or inputs, and has ${got}.`, {
      faults: [
        {
          pointer: body.input === undefined ? '/input' : '/inputs',
          message: 'Exactly one of input and inputs is required',
          expected: 'input or inputs',
          got,
        },
      ],
    });
  }
  if (body.on_error !== undefined && body.inputs === undefined) {
    const fault = { pointer: '/on_error', message: 'Only a list has rows', expected: 'inputs', got: 'input' };
    throw new ApiError('invalid_request', 'on_error belongs to inputs: send a list of inputs, or remove on_error.', {
      faults: [fault],
    });
  }
  if (body.metadata !== undefined) checkMetadata(body.metadata, maxMetadata);
}

const PAIRS_MAX = 50;
const KEY_MAX = 40;
const VALUE_MAX = 500;
/** The longest shown part of a key, which may have any length. */
const SHOWN_MAX = 100;

/** Reads at most PAIRS_MAX + 1 members, and at most VALUE_MAX characters of each value. */
function checkMetadata(metadata: Readonly<Record<string, unknown>>, maxBytes: number): void {
  let pairs = 0;
  for (const key in metadata) {
    pairs += 1;
    if (pairs > PAIRS_MAX)
      throw invalidMetadata('/metadata', 'metadata', { expected: `at most ${PAIRS_MAX} keys`, got: 'more keys' });
    const [name, pointer] = [`metadata.${key.slice(0, SHOWN_MAX)}`, `/metadata/${escapePart(key.slice(0, SHOWN_MAX))}`];
    if (key === '' || isLonger(key, KEY_MAX))
      throw invalidMetadata(pointer, name, {
        expected: `a key of 1 to ${KEY_MAX} characters`,
        got: key === '' ? 'an empty key' : 'a longer key',
      });
    const value = metadata[key];
    if (typeof value === 'string' && !isLonger(value, VALUE_MAX)) continue;
    const expected = `a string of at most ${VALUE_MAX} characters`;
    throw invalidMetadata(pointer, name, {
      expected,
      // A large number has lost digits already, so the error does not repeat the number.
      got: typeof value === 'string' ? 'a longer string' : typeof value === 'number' ? 'a number' : shown(value),
    });
  }
  const size = Buffer.byteLength(JSON.stringify(metadata));
  if (size > maxBytes)
    throw invalidMetadata('/metadata', 'metadata', {
      expected: `at most ${maxBytes} bytes of JSON (MAX_METADATA)`,
      got: `${size} bytes`,
    });
}

/** Whether a text has more than `most` characters. A character may take two code units. */
const isLonger = (text: string, most: number): boolean =>
  text.length > most && (text.length > 2 * most || [...text].length > most);

function invalidMetadata(
  pointer: string,
  name: string,
  { expected, got }: { expected: string; got: string },
): ApiError {
  const detail = `${name} is not valid: expected ${expected}, got ${got}. Metadata is a flat map of strings.`;
  return new ApiError('invalid_metadata', detail, {
    faults: [{ pointer, message: 'Not valid in metadata', expected, got }],
  });
}
