/** Makes the handler of an image task. */
import { type TensorMap, Type } from '@millrace/shared/model-files/handler';
import { labelsOf, type TaskFiles } from '@millrace/shared/model-files/task-files';
import type { Task, TensorNames } from '../files/task.ts';
import { objectOf, readTaskJson } from '../files/task-json.ts';
import { logitsOf, numbersOf, outputOf, short, sigmoid, softmax } from '../text/numbers.ts';
import { imageTask } from './image-task.ts';

export const openImageTask = (files: TaskFiles, names: TensorNames): Task =>
  files.task === 'image-classification' ? classification(files, names) : featureExtraction(files, names);

const Score = Type.Object({ label: Type.String(), score: Type.Number() });
const Scores = Type.Object({
  label: Type.String({ description: 'The label with the highest score.' }),
  score: Type.Number(),
  scores: Type.Array(Score, { description: 'All labels, the highest score first.' }),
});

function classification(files: TaskFiles, names: TensorNames): Task {
  const config = objectOf(readTaskJson(files, 'config.json'));
  const labels = labelsOf(config);
  const isMultiple = config.problem_type === 'multi_label_classification';
  return imageTask({
    files,
    names,
    output: Scores,
    read(tensors, row) {
      const logits = logitsOf({ tensors, row });
      const scores = (isMultiple ? Array.from(logits, sigmoid) : softmax(logits))
        .map((score, at) => ({ label: labels[at] ?? `LABEL_${at}`, score: short(score) }))
        .sort((a, b) => b.score - a.score);
      const [best] = scores;
      if (best === undefined) throw new Error('the model has no label');
      return { ...best, scores };
    },
  });
}

const Embedding = Type.Object({
  embedding: Type.Array(Type.Number(), { description: 'The embedding of the image.' }),
});

/** Outputs of exporters that have one vector for each image. */
const POOLED = ['image_embeds', 'pooler_output', 'sentence_embedding'];

const featureExtraction = (files: TaskFiles, names: TensorNames): Task =>
  imageTask({
    files,
    names,
    output: Embedding,
    read: (tensors, row) => ({ embedding: Array.from(embeddingOf(tensors, row), short) }),
  });

/** The pooled vector, or the vector of the first token, which stands for the whole image. */
function embeddingOf(tensors: TensorMap, row: number): Float64Array {
  const pooled = POOLED.map((name) => tensors[name]).find((tensor) => tensor?.dims.length === 2);
  if (pooled !== undefined) {
    const size = pooled.dims[1] ?? 0;
    return numbersOf(pooled, row * size, size);
  }
  const vectors = outputOf(tensors, ['last_hidden_state'], 3);
  const [, tokens = 0, size = 0] = vectors.dims;
  return numbersOf(vectors, row * tokens * size, size);
}
