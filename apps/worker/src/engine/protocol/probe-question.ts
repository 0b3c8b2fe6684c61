/** The questions that a worker asks of a new version in a limited engine, and the results. */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';

export interface BatchFindings {
  /** Why the rows influence each other, in words; undefined where no operator says so. */
  coupled: string | undefined;
  /** Input name → number of values that an integer may have (0 up to this): the rows of a table that it looks up. */
  vocabulary: Record<string, number>;
}

export interface TrialResult {
  independent: boolean;
  /** For people: why it is, or is not. */
  reason: string;
}

export interface RepeatResult {
  deterministic: boolean;
  /** In words. */
  reason: string;
}

type Vocabulary = BatchFindings['vocabulary'];

export type ProbeQuestion =
  /** The handler's schemas: answered with `Schemas`. */
  | { ask: 'schemas' }
  /** What the operators say: answered with `Operators`. */
  | { ask: 'operators'; inputs: readonly TensorSpec[] }
  /** A size with which a random row runs: a number, or null. */
  | { ask: 'size'; inputs: readonly TensorSpec[]; vocabulary: Vocabulary }
  /** Whether answers repeat: answered with a RepeatResult. */
  | { ask: 'repeats'; inputs: readonly TensorSpec[]; size: number; vocabulary: Vocabulary }
  /** Row independence: answered with a TrialResult. */
  | {
      ask: 'rows';
      inputs: readonly TensorSpec[];
      size: number;
      vocabulary: Vocabulary;
      maxBatch: number;
      examples: readonly unknown[];
    }
  /** An input as callers give it, from end to end: answered with the JSON text of its output. */
  | { ask: 'example'; inputs: readonly TensorSpec[]; example: unknown };

export interface Schemas {
  input: unknown;
  output: unknown;
}

export interface Operators extends BatchFindings {
  /** The operator that draws random numbers; undefined where there is none. */
  random?: string;
}
