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
/**
 * A run costs as much as this number of tokens, beside its own tokens. On a CPU a run of all-MiniLM-L6-v2 costs as much as 10 tokens
 * (its weights are read once for each run), a run of a tiny model as 80, and on a GPU a run costs more.
 */
const RUN_TOKENS = 32;

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

  /** The places of the sequences of each run. Sequences of similar length share a run, so that the runs and their padding cost least. */
  groups(sequences: readonly Sequence[]): number[][] {
    const lengthOf = (at: number) => this.#length ?? sequences[at]?.ids.length ?? 0;
    const order = [...sequences.keys()].sort((a, b) => lengthOf(a) - lengthOf(b));
    const counts = new Map<number, number>();
    for (const at of order) counts.set(lengthOf(at), (counts.get(lengthOf(at)) ?? 0) + 1);
    let from = 0;
    return cheapestGroups([...counts]).flatMap(({ count, length }) => {
      const group = order.slice(from, from + count);
      from += count;
      return chunks(group, Math.max(1, Math.min(this.#most, Math.floor(TOKENS_MAX / Math.max(1, length)))));
    });
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

interface Group {
  /** The number of sequences, and the tokens of each with padding. */
  count: number;
  length: number;
}

/**
 * Divides sequences into groups of neighboring lengths. `lengths` has each length, in rising order, with its number of sequences.
 * Returns the groups whose runs cost least, of the shortest sequences first. The time grows with the square of the number of lengths.
 */
function cheapestGroups(lengths: readonly (readonly [length: number, count: number])[]): Group[] {
  // For the first n lengths: the cost of the cheapest groups, and the last of these groups.
  const best: { cost: number; from: number; last: Group }[] = [];
  for (const [end, [length]] of lengths.entries()) {
    let cheapest = { cost: Number.POSITIVE_INFINITY, from: end, last: { count: 0, length } };
    let count = 0;
    for (let from = end; from >= 0; from--) {
      count += lengths[from]?.[1] ?? 0;
      const cost = (best[from - 1]?.cost ?? 0) + RUN_TOKENS + count * length;
      if (cost < cheapest.cost) cheapest = { cost, from, last: { count, length } };
    }
    best.push(cheapest);
  }
  const groups: Group[] = [];
  for (let end = best.length - 1; end >= 0; ) {
    const chosen = best[end];
    if (chosen === undefined) break;
    groups.unshift(chosen.last);
    end = chosen.from - 1;
  }
  return groups;
}

function chunks(places: readonly number[], size: number): number[][] {
  const parts: number[][] = [];
  for (let at = 0; at < places.length; at += size) parts.push(places.slice(at, at + size));
  return parts;
}

const listOf = (inputs: readonly TensorSpec[]): string =>
  `: its inputs are ${inputs.map(({ name }) => name).join(', ') || 'none'}`;
