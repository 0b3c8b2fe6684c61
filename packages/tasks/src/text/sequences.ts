/** Token sequences as tensors: padding, and micro-batches of sequences of similar length. */
import type { Tensor, TensorMap, TensorSpec } from '@millrace/shared/tensors/tensor';
import type { TensorNames } from '../files/task.ts';

/** One sequence of tokens, as the model takes it. */
export type Sequence = {
  ids: number[];
  /** The segment of each token. Absent if all tokens are in segment 0. */
  types?: number[];
};

/** The most tokens of one run, with padding. More tokens would need much memory, and no model becomes faster. */
const TOKENS_MAX = 16_384;
/** The largest share of padding in a run, and the number of padding tokens that a run can always have. */
const PADDING_SHARE = 0.25;
const PADDING_FREE = 64;

const KNOWN_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];

export interface PaddingParams {
  names: TensorNames;
  padId: number;
  side: 'left' | 'right';
}

/** Converts sequences to the input tensors of a model. */
export class Padding {
  readonly #params: PaddingParams;
  /** The length that the model demands; undefined for any length. */
  readonly #length: number | undefined;
  /** The largest number of sequences of a run. */
  readonly #most: number;

  /** Throws an error for a model whose inputs a text task cannot fill. */
  constructor(params: PaddingParams) {
    this.#params = params;
    const { inputs } = params.names;
    const ids = inputs.find(({ name }) => name === 'input_ids');
    if (ids === undefined)
      throw new Error(`the model has no input "input_ids", which a text task needs${listOf(inputs)}`);
    const other = inputs.find(({ name, dtype }) => !KNOWN_INPUTS.includes(name) || !/^int(32|64)$/.test(dtype));
    if (other !== undefined)
      throw new Error(
        `a text task cannot fill the input "${other.name}" (${other.dtype}) of the model${listOf(inputs)}`,
      );
    const [batch, length] = ids.shape;
    if (typeof batch === 'number' && batch !== 1)
      throw new Error(`the model takes exactly ${batch} texts in a run: export the model with a free first dimension`);
    this.#most = typeof batch === 'number' ? 1 : Number.POSITIVE_INFINITY;
    this.#length = typeof length === 'number' ? length : undefined;
  }

  /** The places of the sequences of each run. Sequences of similar length share a run. */
  groups(sequences: readonly Sequence[]): number[][] {
    const lengthOf = (at: number) => this.#length ?? sequences[at]?.ids.length ?? 0;
    const order = [...sequences.keys()].sort((a, b) => lengthOf(a) - lengthOf(b));
    const groups: number[][] = [];
    let group: number[] = [];
    let tokens = 0;
    for (const at of order) {
      const length = lengthOf(at);
      const padded = (group.length + 1) * length;
      const padding = padded - tokens - length;
      const isFull = group.length >= this.#most || padded > TOKENS_MAX;
      if (group.length > 0 && (isFull || padding > Math.max(PADDING_FREE, PADDING_SHARE * padded))) {
        groups.push(group);
        group = [];
        tokens = 0;
      }
      group.push(at);
      tokens += length;
    }
    if (group.length > 0) groups.push(group);
    return groups;
  }

  /** The tensors of one run, with as many tokens in each sequence as in the longest. */
  tensors(sequences: readonly Sequence[]): TensorMap {
    const { names, padId, side } = this.#params;
    const length = this.lengthOf(sequences);
    const places = sequences.map(({ ids }, row) => row * length + (side === 'left' ? length - ids.length : 0));
    const fill = (spec: TensorSpec, pad: number, tokenOf: (sequence: Sequence, at: number) => number): Tensor => {
      const dims = [sequences.length, length];
      if (spec.dtype === 'int32') {
        const data = new Int32Array(sequences.length * length).fill(pad);
        sequences.forEach((sequence, row) => {
          for (let at = 0; at < sequence.ids.length; at++) data[(places[row] ?? 0) + at] = tokenOf(sequence, at);
        });
        return { dtype: 'int32', dims, data };
      }
      const data = new BigInt64Array(sequences.length * length).fill(BigInt(pad));
      sequences.forEach((sequence, row) => {
        for (let at = 0; at < sequence.ids.length; at++) data[(places[row] ?? 0) + at] = BigInt(tokenOf(sequence, at));
      });
      return { dtype: 'int64', dims, data };
    };
    const tensors: TensorMap = {};
    for (const spec of names.inputs) {
      if (spec.name === 'input_ids') tensors.input_ids = fill(spec, padId, ({ ids }, at) => ids[at] ?? padId);
      else if (spec.name === 'attention_mask') tensors.attention_mask = fill(spec, 0, () => 1);
      else if (spec.name === 'token_type_ids')
        tensors.token_type_ids = fill(spec, 0, ({ types }, at) => types?.[at] ?? 0);
      else tensors[spec.name] = fill(spec, 0, (_, at) => at);
    }
    return tensors;
  }

  /** The tokens of each row of a run. */
  lengthOf(sequences: readonly Sequence[]): number {
    return this.#length ?? sequences.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  }

  /** The place of the first token of a sequence in a run whose rows have `length` tokens. */
  start({ ids }: Sequence, length: number): number {
    return this.#params.side === 'left' ? length - ids.length : 0;
  }
}

const listOf = (inputs: readonly TensorSpec[]): string =>
  `: its inputs are ${inputs.map(({ name }) => name).join(', ') || 'none'}`;
