/** The task text-classification: one text or a pair of texts, and a score for each label of the model. */
import { type Static, Type } from '@millrace/shared/model-files/handler';
import { logitsOf, sigmoid, softmax } from './numbers.ts';
import { Scores, scored } from './scores.ts';
import type { TextModel } from './text-model.ts';
import { countsOf, Text, textTask } from './text-task.ts';
import type { Encoded } from './tokens.ts';

const Input = Type.Object(
  { text: Text('The text to classify.'), text_pair: Type.Optional(Text('The second text of a pair.')) },
  { additionalProperties: false },
);

export function textClassification({ tokenizer, padding, labels, config }: TextModel) {
  const functionOf = (logits: Float64Array): number[] =>
    logits.length === 1 || config.problem_type === 'multi_label_classification'
      ? Array.from(logits, sigmoid)
      : softmax(logits);
  return textTask(
    {
      input: Input,
      output: Scores,
      prepare: () => void tokenizer(),
      canonicalize: ({ text, text_pair: pair }: Static<typeof Input>): Encoded =>
        pair === undefined ? tokenizer().encode(text) : tokenizer().encodePair(text, pair, 'longest'),
      sequencesOf: (row) => [row],
      read: logitsOf,
      outputOf: ([logits = new Float64Array()], row) => ({
        ...scored(labels, functionOf(logits)),
        ...countsOf([row]),
      }),
    },
    padding,
  );
}
