/** The task zero-shot-classification: how well labels of the caller fit a text, by a model of entailment. */
import { InputError, type Static, Type } from '@millrace/shared/model-files/handler';
import { logitsOf, softmax } from './numbers.ts';
import { Scores, scored } from './scores.ts';
import type { TextModel } from './text-model.ts';
import { countsOf, Text, textTask } from './text-task.ts';
import type { Encoded } from './tokens.ts';

/** Each label is a run of the model over the whole text. */
const LABELS_MAX = 64;
const TEMPLATE = 'This example is {}.';

const Input = Type.Object(
  {
    text: Text('The text to classify.'),
    labels: Type.Array(Type.String({ minLength: 1, maxLength: 1_000 }), { minItems: 1, maxItems: LABELS_MAX }),
    multi_label: Type.Optional(
      Type.Boolean({ description: 'Whether several labels can fit. Default false: the scores have the sum 1.' }),
    ),
    hypothesis_template: Type.Optional(
      Type.String({ maxLength: 1_000, description: `The sentence with {} for the label. Default "${TEMPLATE}"` }),
    ),
  },
  { additionalProperties: false },
);

type Row = { labels: string[]; sequences: Encoded[]; each: boolean };

/** The outputs for "follows" and "contradicts" of a model of entailment. */
function entailment(labels: readonly string[]): { follows: number; contradicts: number } {
  const find = (...names: string[]) => labels.findIndex((label) => names.includes(label.toLowerCase()));
  const follows = find('entailment');
  const contradicts = find('contradiction', 'not_entailment');
  if (follows < 0)
    throw new Error(
      `config.json has the labels ${labels.join(', ') || 'of no class'}: zero-shot-classification needs a label "entailment"`,
    );
  // transformers takes the first output as contradiction of a model without such a label.
  return { follows, contradicts: contradicts < 0 ? 0 : contradicts };
}

export function zeroShotClassification({ tokenizer, padding, labels: classes }: TextModel) {
  const { follows, contradicts } = entailment(classes);
  return textTask(
    {
      input: Input,
      output: Scores,
      prepare: () => void tokenizer(),
      canonicalize(input: Static<typeof Input>): Row {
        const { text, labels, multi_label: isMulti = false, hypothesis_template: template = TEMPLATE } = input;
        if (!template.includes('{}'))
          throw new InputError({
            pointer: '/hypothesis_template',
            message: 'The template has no place for the label.',
            expected: `a sentence with {}, such as "${TEMPLATE}"`,
          });
        // A function, because a text could have the patterns of String.replace.
        const sequences = labels.map((label) =>
          tokenizer().encodePair(
            text,
            template.replace('{}', () => label),
            'first',
          ),
        );
        return { labels, sequences, each: isMulti || labels.length === 1 };
      },
      sequencesOf: ({ sequences }) => sequences,
      read: logitsOf,
      outputOf(results, { labels, sequences, each }) {
        const scores = each
          ? results.map((logits) => softmax([logits[contradicts] ?? 0, logits[follows] ?? 0])[1] ?? 0)
          : softmax(results.map((logits) => logits[follows] ?? 0));
        return { ...scored(labels, scores), ...countsOf(sequences) };
      },
    },
    padding,
  );
}
