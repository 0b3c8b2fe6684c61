/** The task token-classification: the entities of a text, such as names and places. */
import { type Static, Type } from '@millrace/shared/model-files/handler';
import { numbersOf, short, softmax, outputOf as tensorOf } from './numbers.ts';
import type { TextModel } from './text-model.ts';
import { counted, countsOf, Text, textTask } from './text-task.ts';
import { tokenSpans } from './token-spans.ts';
import type { Encoded } from './tokens.ts';

const Input = Type.Object(
  { text: Text('The text in which the model looks for entities.') },
  { additionalProperties: false },
);

const Entity = Type.Object({
  label: Type.String({ description: 'The label without its prefix, such as PER of B-PER.' }),
  score: Type.Number({ description: 'The mean score of the tokens of the entity.' }),
  start: Type.Integer({
    minimum: 0,
    description: 'The place of the first character (Unicode code point) in the text.',
  }),
  end: Type.Integer({ minimum: 0, description: 'The place after the last character (Unicode code point).' }),
  text: Type.String({ description: 'The part of the text.' }),
});
const Output = Type.Object({ entities: Type.Array(Entity), ...counted });

/** The text belongs to the canonical form, because an output has parts of the text. */
type Row = Encoded & {
  text: string;
  /** The tokens before the first token of the text. */
  first: number;
  /** Start and end of each token in the text, in UTF-16 units, one after the other. */
  spans: number[];
};

interface Label {
  label: string;
  score: number;
}

export function tokenClassification({ tokenizer, padding, labels }: TextModel) {
  return textTask(
    {
      input: Input,
      output: Output,
      prepare: () => void tokenizer(),
      canonicalize({ text }: Static<typeof Input>): Row {
        const row = tokenizer().encode(text);
        const { leading, specials } = tokenizer();
        const spans = tokenSpans(text, tokenizer(), row.ids.length - specials);
        const end = spans.at(-1) ?? 0;
        // The text after the last token decides no output.
        return { ...row, text: row.truncated ? text.slice(0, end) : text, first: leading, spans };
      },
      sequencesOf: (row) => [row],
      read({ tensors, row, start, length, sequence }): Label[] {
        const logits = tensorOf(tensors, ['logits'], 3);
        const count = logits.dims[2] ?? 0;
        return sequence.ids.map((_, at) => {
          const scores = softmax(numbersOf(logits, (row * length + start + at) * count, count));
          const best = scores.reduce((most, score, place) => (score > (scores[most] ?? 0) ? place : most), 0);
          return { label: labels[best] ?? `LABEL_${best}`, score: scores[best] ?? 0 };
        });
      },
      outputOf: ([found = []], row) => ({ entities: entitiesOf(found, row), ...countsOf([row]) }),
    },
    padding,
  );
}

interface Group {
  tag: string;
  scores: number[];
  start: number;
  end: number;
  isOpen: boolean;
}

/** Joins adjacent tokens of one entity, by the schemes IO, IOB and BIOES. The label O is no entity. */
function entitiesOf(found: readonly Label[], { text, first, spans }: Row): Static<typeof Entity>[] {
  const groups: Group[] = [];
  let last: Group | undefined;
  for (let token = 0; token < spans.length / 2; token++) {
    const { label, score } = found[first + token] ?? { label: 'O', score: 0 };
    const [start = 0, end = 0] = spans.slice(2 * token, 2 * token + 2);
    // A special token inside the text has no characters.
    if (end <= start) continue;
    if (label === 'O') {
      last = undefined;
      continue;
    }
    const [, prefix = 'I', tag = label] = /^([BIES])-(.*)$/s.exec(label) ?? [];
    if (last?.isOpen && last.tag === tag && prefix !== 'B' && prefix !== 'S') {
      last.scores.push(score);
      last.end = end;
      last.isOpen = prefix !== 'E';
    } else {
      last = { tag, scores: [score], start, end, isOpen: prefix !== 'S' };
      groups.push(last);
    }
  }
  const pointOf = pointsOf(text);
  return groups.map(({ tag, scores, start, end }) => ({
    label: tag,
    score: short(scores.reduce((sum, score) => sum + score, 0) / scores.length),
    start: pointOf(start),
    end: pointOf(end),
    text: text.slice(start, end),
  }));
}

/** Converts places in UTF-16 units to places in code points. */
function pointsOf(text: string): (place: number) => number {
  const points = new Uint32Array(text.length + 1);
  let count = 0;
  for (let unit = 0; unit < text.length; unit++) {
    points[unit] = count;
    const code = text.charCodeAt(unit);
    const isFirstHalf = code >= 0xd800 && code <= 0xdbff && (text.codePointAt(unit) ?? 0) > 0xffff;
    if (!isFirstHalf) count += 1;
  }
  points[text.length] = count;
  return (place) => points[place] ?? count;
}
