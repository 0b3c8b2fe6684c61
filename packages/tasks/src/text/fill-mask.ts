/** The task fill-mask: the most probable tokens in place of the mask token of a text. */
import { InputError, type Static, Type } from '@millrace/shared/model-files/handler';
import { numbersOf, outputOf as tensorOf } from './numbers.ts';
import { Scores, scored } from './scores.ts';
import type { TextModel } from './text-model.ts';
import { countsOf, Text, textTask } from './text-task.ts';
import type { Encoded } from './tokens.ts';

/** The tokens of an output, as in transformers. */
const BEST = 5;

const Input = Type.Object(
  { text: Text('The text with exactly one mask token of the model, such as [MASK].') },
  { additionalProperties: false },
);

type Row = Encoded & { mask: number };

export function fillMask({ tokenizer, padding }: TextModel) {
  return textTask(
    {
      input: Input,
      output: Scores,
      prepare: () => void tokenizer(),
      canonicalize({ text }: Static<typeof Input>): Row {
        const token = tokenizer().maskToken;
        const id = token === undefined ? undefined : tokenizer().idOf(token);
        if (id === undefined) throw new Error('tokenizer_config.json has no mask_token, which fill-mask needs');
        const row = tokenizer().encode(text);
        const mask = row.ids.indexOf(id);
        if (mask < 0 || row.ids.indexOf(id, mask + 1) >= 0)
          throw new InputError({
            pointer: '/text',
            message: `The text has ${mask < 0 ? 'no mask token' : 'several mask tokens'} among the tokens that the model takes.`,
            expected: `exactly one ${token}`,
          });
        return { ...row, mask };
      },
      sequencesOf: (row) => [row],
      read({ tensors, row, start, length, sequence }) {
        const logits = tensorOf(tensors, ['logits'], 3);
        const words = logits.dims[2] ?? 0;
        const { mask } = sequence as Row;
        return bestOf(numbersOf(logits, (row * length + start + mask) * words, words));
      },
      outputOf([best = []], row) {
        const words = best.map(({ id }) => tokenizer().word(id));
        return {
          ...scored(
            words,
            best.map(({ score }) => score),
          ),
          ...countsOf([row]),
        };
      },
    },
    padding,
  );
}

interface Word {
  id: number;
  score: number;
}

/** The most probable tokens. A vocabulary can have 250,000 tokens, so that sorting all would take long. */
function bestOf(logits: Float64Array): Word[] {
  const best: Word[] = [];
  let most = Number.NEGATIVE_INFINITY;
  for (const [id, logit] of logits.entries()) {
    most = Math.max(most, logit);
    if (best.length === BEST && logit <= (best.at(-1)?.score ?? 0)) continue;
    const at = best.findIndex(({ score }) => logit > score);
    best.splice(at < 0 ? best.length : at, 0, { id, score: logit });
    best.length = Math.min(best.length, BEST);
  }
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return best.map(({ id, score }) => ({ id, score: Math.exp(score - most) / sum }));
}
