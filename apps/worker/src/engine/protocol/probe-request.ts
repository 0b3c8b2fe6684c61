/** The requests with which a worker examines a new version in a limited engine, and the results. */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';

export interface BatchFindings {
  /** Why the rows influence each other, in words. Undefined when no operator joins rows. */
  coupled: string | undefined;
  /** Number of values of an integer input, by input name: the number of rows of the table that the input indexes. */
  vocabulary: Record<string, number>;
  /** The outputs whose first dimension is the rows by the operators, whatever the file declares. */
  rowOutputs: string[];
}

export interface TrialResult {
  independent: boolean;
  /** The reason, in words. */
  reason: string;
}

export interface RepeatResult {
  deterministic: boolean;
  /** In words. */
  reason: string;
}

type Vocabulary = BatchFindings['vocabulary'];

export type ProbeRequest =
  /** The schemas of the handler. Response: `Schemas`. */
  | { kind: 'schemas' }
  /** The findings about the operators. Response: `Operators`. */
  | { kind: 'operators'; inputs: readonly TensorSpec[] }
  /** A size with which a random row runs. Response: a number or null. */
  | { kind: 'size'; inputs: readonly TensorSpec[]; vocabulary: Vocabulary }
  /** Whether equal runs give equal results. Response: RepeatResult. */
  | { kind: 'repeats'; inputs: readonly TensorSpec[]; size: number; vocabulary: Vocabulary }
  /** Whether rows are independent. Response: TrialResult. */
  | {
      kind: 'rows';
      inputs: readonly TensorSpec[];
      size: number;
      vocabulary: Vocabulary;
      maxBatch: number;
      examples: readonly unknown[];
    }
  /** Runs an input as callers send it. Response: the JSON text of its output. */
  | { kind: 'example'; inputs: readonly TensorSpec[]; example: unknown }
  /** The canonical text of an input, or of a random row if `example` is absent. Response: a string, or null without a random row. */
  | { kind: 'row'; inputs: readonly TensorSpec[]; vocabulary: Vocabulary; example?: unknown }
  /** Runs an input through each stage singly. Response: ExampleReport. */
  | { kind: 'stages'; inputs: readonly TensorSpec[]; example: unknown };

export interface Schemas {
  input: unknown;
  output: unknown;
}

export interface Operators extends BatchFindings {
  /** The operator that draws random numbers. Undefined when there is none. */
  random?: string;
}
