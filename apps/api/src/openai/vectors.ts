/** Reads the embeddings that models return, and writes them in the forms of the protocols. */
import { ApiError } from '@millrace/shared/errors';

export interface Embedded {
  vector: readonly number[];
  /** The number of tokens of the text; 0 if the model does not report tokens. */
  tokens: number;
  /** Whether the model has used only the beginning of the text. */
  isTruncated: boolean;
}

/** The embedding in the output of a model. Throws ApiError for another output. */
export function embeddingOf(output: unknown): Embedded {
  const { embedding, tokens, truncated } = (output ?? {}) as {
    embedding?: unknown;
    tokens?: unknown;
    truncated?: unknown;
  };
  if (!Array.isArray(embedding) || embedding.length === 0 || !embedding.every((value) => typeof value === 'number'))
    throw new ApiError('inference_failed', 'The output of the model has no embedding: expected a list of numbers.');
  return { vector: embedding, tokens: typeof tokens === 'number' ? tokens : 0, isTruncated: truncated === true };
}

/** The first numbers of an embedding, with the length 1. Throws ApiError if the embedding has fewer numbers. */
export function shortened(vector: readonly number[], dimensions: number): readonly number[] {
  if (dimensions > vector.length)
    throw new ApiError(
      'invalid_request',
      `The embeddings of this model have ${vector.length} dimensions, and the request has ${dimensions}.`,
      {
        faults: [
          {
            pointer: '/dimensions',
            message: 'Too many',
            expected: `at most ${vector.length}`,
            got: String(dimensions),
          },
        ],
      },
    );
  return dimensions === vector.length ? vector : withLengthOne(vector.slice(0, dimensions));
}

/** A vector of zeros stays as it is. */
export function withLengthOne(vector: readonly number[]): readonly number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  // A division would change the last digits of a vector that a model has normalized.
  if (length === 0 || Math.abs(length - 1) < 1e-6) return vector;
  return vector.map((value) => value / length);
}

/** Little-endian float32, as every platform of Node.js has them. */
export const base64Of = (vector: readonly number[]): string =>
  Buffer.from(Float32Array.from(vector).buffer).toString('base64');
