/** The stored JSON of predictions, which the API sends as the response of a hit. */
import type { CachedResult } from '@millrace/shared/cache/result-value';
import { LongText, type Text } from '@millrace/shared/predictions/long-text';
import { endOfSucceeded } from '@millrace/shared/predictions/prediction';
import { PREDICTION_ID_LENGTH } from '@millrace/shared/predictions/public-ids';

/** The JSON begins with {"id":"<id>". */
const ID_AT = 7;
const ID_END = ID_AT + PREDICTION_ID_LENGTH;

/** The public id in the JSON of a prediction. */
export const idIn = (text: Text): string => String(text.slice(ID_AT, ID_END));

/**
 * Returns a check whether stored JSON is the JSON that this process sends for the same prediction. Other versions, and processes
 * with another public URL, write other members. `base` is the public URL of this process.
 */
export function createBodyCheck(base: string): (body: NonNullable<CachedResult['body']>) => boolean {
  return (body) => {
    const bytes = Buffer.isBuffer(body) ? body : new LongText(body.pieces);
    const textAt = (from: number, to: number) =>
      Buffer.isBuffer(bytes) ? bytes.toString('latin1', from, to) : bytes.slice(from, to).toString();
    const end = endOfSucceeded(textAt(ID_AT, ID_END), base);
    return bytes.length > end.length && textAt(bytes.length - end.length, bytes.length) === end;
  };
}
