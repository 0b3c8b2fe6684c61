/** The task text-ranking: how well a text fits a query. */
import { type Static, Type } from '@millrace/shared/model-files/handler';
import { objectOf, textOf } from '../files/task-json.ts';
import { logitsOf, short, sigmoid } from './numbers.ts';
import type { TextModel } from './text-model.ts';
import { counted, countsOf, Text, textTask } from './text-task.ts';
import type { Encoded } from './tokens.ts';

const Input = Type.Object(
  { query: Text('The query.'), text: Text('The text to rank.') },
  { additionalProperties: false },
);
const Output = Type.Object({
  score: Type.Number({ description: 'From 0 to 1, unless the model declares no activation function.' }),
  logit: Type.Number({ description: 'The output of the model before the activation function.' }),
  ...counted,
});

export function textRanking({ tokenizer, padding, config }: TextModel) {
  const activation =
    textOf(objectOf(config.sentence_transformers).activation_fn) ??
    textOf(config.sbert_ce_default_activation_function) ??
    '';
  return textTask(
    {
      input: Input,
      output: Output,
      prepare: () => void tokenizer(),
      canonicalize: ({ query, text }: Static<typeof Input>): Encoded => tokenizer().encodePair(query, text, 'longest'),
      sequencesOf: (row) => [row],
      read: logitsOf,
      outputOf([logits = new Float64Array()], row) {
        if (logits.length !== 1)
          throw new Error(
            `the model has ${logits.length} outputs for a pair of texts: text-ranking needs a model with one`,
          );
        const logit = logits[0] ?? 0;
        const score = activation.endsWith('Identity') ? logit : sigmoid(logit);
        return { score: short(score), logit: short(logit), ...countsOf([row]) };
      },
    },
    padding,
  );
}
