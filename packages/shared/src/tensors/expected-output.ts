/** Estimates the size of an output before an output of the model was measured. */
import type { Dtype, TensorSpec } from './tensor.ts';

/** The estimate for an output of unknown size: an output of a handler, or a shape with free dimensions. */
export const UNKNOWN_OUTPUT_BYTES = 512;

/** Bytes of one element as JSON with its comma. Numbers have the length of the longest usual text. */
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
 * The bytes of the output of one row according to the shapes in the model's file. A free first dimension is the dimension of rows.
 * With another free dimension the result is at least UNKNOWN_OUTPUT_BYTES. For a handler (`isHandled`) the result is
 * UNKNOWN_OUTPUT_BYTES.
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
