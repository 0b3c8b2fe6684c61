/** Compares the outputs of a model. */
import type { Tensor, TensorMap } from '@millrace/shared/tensors/tensor';
import { fromHalfBits } from '@millrace/shared/tensors/tensor-data';

/** Name of the first output that differs by more than rounding. Undefined when the outputs are equal. */
export function firstDifference(a: TensorMap, b: TensorMap): string | undefined {
  return Object.keys(a).find((name) => b[name] === undefined || !alike(a[name]!, b[name]));
}

/** Name of the first output that differs in any bit. Undefined when the outputs are equal. */
export function firstChange(a: TensorMap, b: TensorMap): string | undefined {
  return Object.keys(a).find((name) => b[name] === undefined || !same(a[name]!, b[name]));
}

function same(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || String(a.dims) !== String(b.dims)) return false;
  for (let i = 0; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false;
  return true;
}

/** Whether two outputs are equal except for rounding: a batch uses other code paths of matrix products than a row. */
function alike(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || String(a.dims) !== String(b.dims)) return false;
  const tolerance = a.dtype === 'float64' ? 1e-9 : a.dtype === 'float16' ? 1e-2 : 1e-4;
  const value = a.dtype === 'float16' ? (bits: unknown) => fromHalfBits(bits as number) : Number;
  let scale: number | undefined;
  for (let i = 0; i < a.data.length; i++) {
    if (a.data[i] === b.data[i]) continue;
    if (!a.dtype.startsWith('float')) return false;
    const x = value(a.data[i]);
    const y = value(b.data[i]);
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    scale ??= 1e-2 * largest(a, value);
    if (!(Math.abs(x - y) <= tolerance * (1e-1 + Math.max(Math.abs(x), Math.abs(y), scale)))) return false;
  }
  return true;
}

/** The tolerance. Elements that nearly cancel each other have the rounding errors of the large elements beside them. */
function largest({ data }: Tensor, value: (bits: unknown) => number): number {
  let most = 0;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(value(data[i]));
    if (Number.isFinite(size)) most = Math.max(most, size);
  }
  return most;
}
