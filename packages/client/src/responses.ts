/** The paths of predictions, and the predictions in responses. */
import { type ErrorContext, hasTexts, MillraceError } from './errors.ts';
import type { Prediction } from './types.ts';

export const pathOf = (id: string, action = ''): string => `/v1/predictions/${encodeURIComponent(id)}${action}`;

/** Throws if the value is no prediction: another server than Millrace responds at baseUrl. */
export function predictionIn(body: unknown, context: ErrorContext): Prediction {
  if (hasTexts<Prediction>(body, 'id', 'status')) return body;
  const details = { ...context, code: 'invalid_response', retryable: false };
  throw new MillraceError('The response is no prediction of Millrace. Check baseUrl.', details);
}
