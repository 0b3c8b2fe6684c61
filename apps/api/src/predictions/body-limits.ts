/** The rules for the body of a new prediction that its schema cannot express. */

import { ApiError } from '@millrace/shared/errors';
import type { PredictionBody } from './prediction-request.ts';

/** Throws `invalid_request`. `maxMetadata` is the largest size of the metadata in bytes of JSON. */
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
  const size = body.metadata === undefined ? 0 : Buffer.byteLength(JSON.stringify(body.metadata));
  if (size <= maxMetadata) return;
  throw new ApiError('invalid_request', `metadata must have at most ${maxMetadata} bytes of JSON, and has ${size}.`, {
    faults: [
      { pointer: '/metadata', message: 'Too large', expected: `at most ${maxMetadata} bytes`, got: `${size} bytes` },
    ],
  });
}
