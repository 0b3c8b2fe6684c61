/** Compares a response with the expected tensors: floats with the suite's tolerances, all other types for equality. */
import type { Tensor } from '@millrace/shared/tensors/tensor';
import { fromHalfBits } from '@millrace/shared/tensors/tensor-data';

const RELATIVE = 1e-3;
const ABSOLUTE = 1e-5;

/** Describes the first difference in a sentence. Returns undefined for equal tensors. */
export function difference(
  expected: Tensor,
  got: Tensor,
  relative = RELATIVE,
  absolute = ABSOLUTE,
): string | undefined {
  if (expected.dtype !== got.dtype) return `is of type ${got.dtype} and not ${expected.dtype}`;
  if (String(expected.dims) !== String(got.dims)) return `has shape [${got.dims}] and not [${expected.dims}]`;
  const isFloat = expected.dtype.startsWith('float');
  const number = (data: Tensor['data'], at: number) =>
    expected.dtype === 'float16' ? fromHalfBits(data[at] as number) : (data[at] as number);
  for (let at = 0; at < expected.data.length; at++) {
    if (!isFloat) {
      if (expected.data[at] !== got.data[at]) return `has ${got.data[at]} at ${at} and not ${expected.data[at]}`;
      continue;
    }
    const wanted = number(expected.data, at);
    const given = number(got.data, at);
    if (wanted === given || (Number.isNaN(wanted) && Number.isNaN(given))) continue;
    if (!(Math.abs(given - wanted) <= absolute + relative * Math.abs(wanted)))
      return `has ${given} at ${at} and not ${wanted}`;
  }
  return undefined;
}
