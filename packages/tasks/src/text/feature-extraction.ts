/** The task feature-extraction: the embedding of a text. */
import { type Static, type TensorMap, Type } from '@millrace/shared/model-files/handler';
import { objectOf, textOf } from '../files/task-json.ts';
import { numbersOf, short, outputOf as tensorOf } from './numbers.ts';
import { normalized, poolingOf } from './pooling.ts';
import type { TextModel } from './text-model.ts';
import { counted, countsOf, type SequenceResult, Text, textTask } from './text-task.ts';
import type { Encoded } from './tokens.ts';

/** More token ids than any model takes. */
const TOKENS_MAX = 131_072;

const Input = Type.Object(
  {
    text: Type.Optional(Text('The text to embed.')),
    token_ids: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        minItems: 1,
        maxItems: TOKENS_MAX,
        description: 'In place of the text: its tokens in the vocabulary of the model.',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);
const Output = Type.Object({
  embedding: Type.Array(Type.Number(), { description: 'The embedding of the text.' }),
  ...counted,
});

/** Outputs of exporters that pool inside the model. */
const POOLED = ['sentence_embedding', 'text_embeds', 'embeddings'];

export function featureExtraction({ tokenizer, padding, pooling, modules }: TextModel) {
  const steps = modules.map((module) => textOf(objectOf(module).type) ?? '');
  const isNormalized = steps.some((type) => type.endsWith('Normalize'));
  const dense = steps.find((type) => type.endsWith('Dense'));
  const pool = poolingOf(pooling);
  const pooledIn = (tensors: TensorMap) =>
    POOLED.map((name) => tensors[name]).find((tensor) => tensor?.dims.length === 2);
  const embeddingOf = ({ tensors, row, start, length, sequence }: SequenceResult): Float64Array => {
    const pooled = pooledIn(tensors);
    if (pooled !== undefined) {
      const size = pooled.dims[1] ?? 0;
      return numbersOf(pooled, row * size, size);
    }
    if (dense !== undefined)
      throw new Error(`modules.json has the module ${dense}: export the model with the output "sentence_embedding"`);
    const vectors = tensorOf(tensors, ['last_hidden_state', 'token_embeddings'], 3);
    const size = vectors.dims[2] ?? 0;
    const tokens = sequence.ids.length;
    return pool({ values: numbersOf(vectors, (row * length + start) * size, tokens * size), tokens, size });
  };
  return textTask(
    {
      input: Input,
      output: Output,
      prepare: () => void tokenizer(),
      canonicalize: ({ text, token_ids: ids }: Static<typeof Input>): Encoded =>
        tokenizer().encode(text ?? tokenizer().textOf(ids ?? [])),
      sequencesOf: (row) => [row],
      read: (result) => (isNormalized ? normalized(embeddingOf(result)) : embeddingOf(result)),
      outputOf: ([embedding = new Float64Array()], row) => ({
        embedding: Array.from(embedding, short),
        ...countsOf([row]),
      }),
    },
    padding,
  );
}
