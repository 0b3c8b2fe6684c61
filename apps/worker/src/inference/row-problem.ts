/** The problem of a row without an output. */
import { type Problem, problem } from '@millrace/shared/errors';
import type { RowResult } from '../engine/protocol/loaded-version.ts';

type RowFailure = Extract<RowResult, { ok: false }>;

/** `place` is the pointer of the row in the request. A row without a result was not run. */
export function problemOfRow(result: RowFailure | undefined, place: string): Problem {
  if (result?.code !== 'invalid_input') {
    const { code, detail } = result ?? { code: 'inference_failed' as const, detail: 'The row was not run.' };
    return problem(code, detail, { errors: [{ in: 'body', pointer: place, message: detail }] });
  }
  const { pointer, suggestions } = result.input;
  return problem('invalid_input', result.detail, {
    errors: [{ ...result.input, in: 'body', pointer: place + pointer }],
    ...(suggestions === undefined ? {} : { suggestions }),
  });
}
