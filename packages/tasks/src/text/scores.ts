/** The output of a classification: labels with their scores, the best first. */
import { type Static, Type } from '@millrace/shared/model-files/handler';
import { short } from './numbers.ts';
import { counted } from './text-task.ts';

const Score = Type.Object({ label: Type.String(), score: Type.Number() });

export const Scores = Type.Object({
  label: Type.String({ description: 'The label with the highest score.' }),
  score: Type.Number(),
  scores: Type.Array(Score, { description: 'All labels, the highest score first.' }),
  ...counted,
});

export type ScoredLabels = Pick<Static<typeof Scores>, 'label' | 'score' | 'scores'>;

/** Sorts the labels by their scores. Equal scores keep the order of the labels. */
export function scored(labels: readonly string[], scores: readonly number[]): ScoredLabels {
  const sorted = scores
    .map((score, at) => ({ label: labels[at] ?? `LABEL_${at}`, score: short(score) }))
    .sort((a, b) => b.score - a.score);
  const [best] = sorted;
  if (best === undefined) throw new Error('the model has no label');
  return { ...best, scores: sorted };
}
