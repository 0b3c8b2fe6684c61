/** Converts raw tensors to rows, with the signature of a version. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { inputFault } from '@millrace/shared/tensors/input-error';
import { NumberArray } from '@millrace/shared/tensors/number-array';
import { tensorRow } from '@millrace/shared/tensors/tensor-bytes';
import { parseTensorInput } from '@millrace/shared/tensors/tensor-json';
import { rowCount, splitRows } from '@millrace/shared/tensors/tensor-rows';
import { member } from '../http/validation.ts';

import {
  type CanonicalInput,
  type Canonicalizer,
  INPUTS_AT_ONCE,
  type InputResult,
  inTurns,
  invalidInput,
  oneRow,
  tooManyRows,
} from './canonical-input.ts';
export function tensorCanonicalizer({ signature, config }: ModelVersion): Canonicalizer {
  const convert = (input: unknown, maxRows: number): CanonicalInput | Promise<CanonicalInput> => {
    const given = config.rowIndependent ? givenRows(input, signature.inputs[0]?.name) : undefined;
    if (given !== undefined && given > maxRows) throw tooManyRows(given, maxRows);
    const tensors = parseTensorInput(signature.inputs, input);
    const rows = config.rowIndependent ? rowCount(tensors) : undefined;
    if (rows === undefined || rows <= 1) return oneRow(tensorRow(tensors));
    if (rows > maxRows) throw tooManyRows(rows, maxRows);
    const split = inTurns(splitRows(tensors), tensorRow);
    if (split instanceof Promise) return split.then((all) => ({ shape: 'tensors', rows: all }));
    return { shape: 'tensors', rows: split };
  };
  const attempt = (input: unknown, maxRows: number): InputResult | Promise<InputResult> => {
    try {
      return convert(input, maxRows);
    } catch (error) {
      if (error instanceof ApiError) return error;
      const refused = inputFault(error);
      if (refused === undefined) throw error;
      return invalidInput(refused);
    }
  };
  return {
    convert(inputs, { maxRows }) {
      if (inputs.length > INPUTS_AT_ONCE)
        return Promise.resolve(inTurns(inputs, (input) => attempt(input, maxRows))).then((all) => Promise.all(all));
      const results = inputs.map((input) => attempt(input, maxRows));
      return areReady(results) ? results : Promise.all(results);
    },
    release() {},
  };
}

const areReady = (results: readonly (InputResult | Promise<InputResult>)[]): results is InputResult[] =>
  results.every((result) => !(result instanceof Promise));

/** The first dimension of a tensor as sent, read before the elements; undefined if the dimension is not a number. */
function givenRows(input: unknown, name: string | undefined): number | undefined {
  const tensor = name === undefined ? undefined : member(input, name);
  if (Array.isArray(tensor)) return tensor.length;
  if (tensor instanceof NumberArray) return tensor.dims[0];
  const shape = member(tensor, 'shape');
  const rows: unknown = Array.isArray(shape) ? shape[0] : undefined;
  return typeof rows === 'number' ? rows : undefined;
}
