/** Reads predictions from responses. */
import { type ErrorContext, MillraceError } from './errors.ts';
import type { Prediction } from './types.ts';

/** Throws if the value is no prediction: another server than Millrace responds at baseUrl. */
export function predictionIn(body: unknown, context: ErrorContext): Prediction {
  if (isPrediction(body)) return body;
  const message =
    'The response is no prediction, so that no Millrace serves baseUrl. Check baseUrl, and the proxies on the way.';
  throw new MillraceError(message, { ...context, code: 'invalid_response', retryable: false });
}

const isPrediction = (body: unknown): body is Prediction =>
  typeof body === 'object' &&
  body !== null &&
  'id' in body &&
  typeof body.id === 'string' &&
  'status' in body &&
  typeof body.status === 'string' &&
  'completed_at' in body;
