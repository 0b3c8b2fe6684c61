/** Composes a text task: from an input to token sequences, and from the model's tensors to an output. */
import {
  type Handler,
  type Json,
  type Static,
  type TensorMap,
  type TSchema,
  Type,
} from '@millrace/shared/model-files/handler';
import type { RunModel, Task } from '../files/task.ts';
import type { Padding, Sequence } from './sequences.ts';
import { TEXT_MAX } from './tokens.ts';

/** The results of the model for one sequence: the part of the output tensors that belongs to the sequence. */
export interface SequenceResult {
  tensors: TensorMap;
  /** The row of the sequence in the tensors, the place of its first token in the row, and the tokens of a row. */
  row: number;
  start: number;
  length: number;
  sequence: Sequence;
}

export interface TextTaskParts<I extends TSchema, C extends Json, O extends TSchema, R> {
  input: I;
  output: O;
  prepare(): void;
  canonicalize(input: Static<I>): C;
  /** The sequences of a row. */
  sequencesOf(row: C): readonly Sequence[];
  /** Takes the result of a sequence from the tensors of a run. */
  read(result: SequenceResult): R;
  /** The output of a row from the results of its sequences. */
  outputOf(results: readonly R[], row: C): Static<O>;
}

export const Text = (description: string) => Type.String({ maxLength: TEXT_MAX, description });

/** The members that every output of a text task has. */
export const counted = {
  tokens: Type.Integer({ minimum: 0, description: 'The tokens that the model took, with special tokens.' }),
  truncated: Type.Boolean({ description: 'Whether the text had more tokens than the model takes.' }),
};

export function countsOf(sequences: readonly (Sequence & { truncated?: true })[]): {
  tokens: number;
  truncated: boolean;
} {
  return {
    tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0),
    truncated: sequences.some(({ truncated }) => truncated === true),
  };
}

export function textTask<I extends TSchema, C extends Json, O extends TSchema, R>(
  parts: TextTaskParts<I, C, O, R>,
  padding: () => Padding,
): Task {
  const { sequencesOf, read, outputOf } = parts;
  const inRows = (rows: readonly C[], results: readonly R[]): Static<O>[] => {
    let at = 0;
    return rows.map((row) => {
      const from = at;
      at += sequencesOf(row).length;
      return outputOf(results.slice(from, at), row);
    });
  };
  const readAll = (tensors: TensorMap, sequences: readonly Sequence[]): R[] => {
    const length = padding().lengthOf(sequences);
    return sequences.map((sequence, row) =>
      read({ tensors, row, start: padding().start(sequence, length), length, sequence }),
    );
  };
  const handler: Handler<I, C, O> & TextRun<C> = {
    input: parts.input,
    output: parts.output,
    prepare: parts.prepare,
    canonicalize: parts.canonicalize,
    encode: (rows) => padding().tensors(rows.flatMap(sequencesOf)),
    decode: (tensors, rows) => inRows(rows, readAll(tensors, rows.flatMap(sequencesOf))),
    async run(rows, model) {
      const sequences = rows.flatMap(sequencesOf);
      const results = new Array<R>(sequences.length);
      for (const places of padding().groups(sequences)) {
        const group = places.flatMap((place) => sequences[place] ?? []);
        const read = readAll(await model(padding().tensors(group)), group);
        read.forEach((result, at) => {
          results[places[at] ?? 0] = result;
        });
      }
      return inRows(rows, results);
    },
  };
  return handler;
}

interface TextRun<C> {
  prepare(): void;
  run(rows: readonly C[], model: RunModel): Promise<unknown[]>;
}
