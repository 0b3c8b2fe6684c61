/** The canonical form of an input, and the interface of a canonicalizer. */
import { ApiError, type Fault } from '@millrace/shared/errors';
import type { GivenRow, Task } from '@millrace/shared/predictions/task';

export interface CanonicalInput {
  /** How the output is assembled from the rows; see Task. */
  shape: Task['shape'];
  /** The canonical form of each row. */
  rows: GivenRow[];
}

export interface Caller {
  tenant: string;
  /** The most rows of one input. */
  maxRows: number;
}

/** The canonical rows of an input, or the error of the input with pointers into the input. */
export type InputResult = CanonicalInput | ApiError;

export interface Canonicalizer {
  /**
   * Converts inputs, in their order. Returns a promise only where a handler runs in a thread, or where the inputs are too many for
   * one turn of the event loop. Throws ApiError when no input can be converted.
   */
  convert(inputs: readonly unknown[], caller: Caller): InputResult[] | Promise<InputResult[]>;
  /** Releases the memory of the version. */
  release(): void;
}

export const invalidInput = (fault: Fault): ApiError =>
  new ApiError('invalid_input', fault.message, { faults: [fault], suggestions: fault.suggestions ?? [] });

export const oneRow = (row: GivenRow): CanonicalInput => ({ shape: 'one', rows: [row] });

/** Returns `invalid_request`, with a pointer to the input itself. */
export function tooManyRows(rows: number, maxRows: number): ApiError {
  const faults = [{ pointer: '', message: 'Too many rows', expected: `at most ${maxRows}`, got: String(rows) }];
  return new ApiError('invalid_request', `A prediction has at most ${maxRows} rows, and this prediction has ${rows}.`, {
    faults,
  });
}

/** The inputs of one turn of the event loop. 10,000 inputs in one turn would delay other requests by a tenth of a second. */
export const INPUTS_AT_ONCE = 256;

/** Calls `run` for each item, for INPUTS_AT_ONCE items in one turn of the event loop. */
export function inTurns<T, R>(items: readonly T[], run: (item: T) => R): R[] | Promise<R[]> {
  if (items.length <= INPUTS_AT_ONCE) return items.map(run);
  return (async () => {
    const results: R[] = [];
    for (const [at, item] of items.entries()) {
      if (at > 0 && at % INPUTS_AT_ONCE === 0) await new Promise(setImmediate);
      results.push(run(item));
    }
    return results;
  })();
}
