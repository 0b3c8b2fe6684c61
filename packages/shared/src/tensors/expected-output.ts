/** How long an output is taken to be while none of its model was measured. */
import type { Dtype, TensorSpec } from './tensor.ts';

/** Bytes of an output of which the model's file tells nothing: of a handler, or of a shape with free dimensions. */
export const UNKNOWN_OUTPUT_BYTES = 512;

/** Bytes of one element as JSON, with its comma; of a number the longest usual text. */
const ELEMENT_BYTES: Readonly<Record<Dtype, number>> = {
  float16: 9,
  float32: 12,
  float64: 20,
  int8: 5,
  int16: 7,
  int32: 9,
  int64: 9,
  uint8: 4,
  uint16: 6,
  uint32: 9,
  uint64: 9,
  bool: 6,
  string: 32,
};

/**
 * Bytes of the output of one row, by the shapes in the model's file: a first dimension that is free is that of the rows. Where
 * another dimension is free, and where a handler makes the output (`isHandled`), at least UNKNOWN_OUTPUT_BYTES.
 */
export function expectedOutputBytes(outputs: readonly TensorSpec[], isHandled: boolean): number {
  if (isHandled) return UNKNOWN_OUTPUT_BYTES;
  let bytes = 0;
  let isKnown = outputs.length > 0;
  for (const { dtype, shape } of outputs) {
    let elements = 1;
    for (const [at, size] of shape.entries()) {
      if (typeof size === 'number') elements *= Math.max(0, size);
      else if (at > 0) isKnown = false;
    }
    bytes += elements * ELEMENT_BYTES[dtype];
  }
  return isKnown ? bytes : Math.max(bytes, UNKNOWN_OUTPUT_BYTES);
}
