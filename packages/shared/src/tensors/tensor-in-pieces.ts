/** A tensor whose elements are bytes in pieces, as they arrived. The pieces are joined only if somebody reads `data`. */
import type { BytePieces } from './byte-pieces.ts';
import type { Dtype, Tensor, TensorData } from './tensor.ts';
import { dataFromBytes } from './tensor-data.ts';

/** The types whose elements need no check: every pattern of bits is an element. */
export type UncheckedDtype = Exclude<Dtype, 'string' | 'bool'>;

export const isUnchecked = (dtype: Dtype): dtype is UncheckedDtype => dtype !== 'string' && dtype !== 'bool';

export class TensorInPieces implements Tensor {
  readonly dtype: UncheckedDtype;
  readonly dims: readonly number[];
  /** The little-endian elements. */
  readonly bytes: BytePieces;
  #data: TensorData | undefined;

  constructor(dtype: UncheckedDtype, dims: readonly number[], bytes: BytePieces) {
    this.dtype = dtype;
    this.dims = dims;
    this.bytes = bytes;
  }

  get data(): TensorData {
    this.#data ??= dataFromBytes(this.dtype, this.bytes.joined());
    return this.#data;
  }
}
