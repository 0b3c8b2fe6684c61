/**
 * The result of a prediction with `"on_error": "row"`: an object with the outputs and with the errors of rows. Every other prediction of
 * `inputs` has an array as its result, so the first character of a result shows its form.
 */
import { joinTexts, type Text } from './long-text.ts';

/** The error of one row. `error` is a problem (errors.ts). */
export interface RowError {
  /** From 0, as in `inputs`. */
  row: number;
  error: object;
}

/** The JSON text of the result. `outputs` is the JSON array of the outputs, with null for a row with an error. */
export function resultWithErrors(outputs: Text, errors: readonly RowError[]): Text {
  const sorted = [...errors].sort((a, b) => a.row - b.row);
  const end = `,"row_errors":${JSON.stringify(sorted)}}`;
  return typeof outputs === 'string' ? `{"outputs":${outputs}${end}` : joinTexts(['{"outputs":', outputs, end]);
}

const BRACE = 0x7b;

/** The members `outputs` and `row_errors` of such a result as JSON text. Undefined for a result of another form. */
export function membersOf(result: Text): Text | undefined {
  const first = typeof result === 'string' ? result.charCodeAt(0) : result.byteAt(0);
  return first === BRACE ? result.slice(1, result.length - 1) : undefined;
}
