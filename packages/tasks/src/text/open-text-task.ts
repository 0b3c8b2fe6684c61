/** Makes the handler of a text task. */
import type { Task, TensorNames } from '../files/task.ts';
import { featureExtraction } from './feature-extraction.ts';
import { fillMask } from './fill-mask.ts';
import { textClassification } from './text-classification.ts';
import { readTextModel, type TextTaskFiles } from './text-model.ts';
import { textRanking } from './text-ranking.ts';
import { tokenClassification } from './token-classification.ts';
import { zeroShotClassification } from './zero-shot-classification.ts';

const TASKS = {
  'feature-extraction': featureExtraction,
  'text-classification': textClassification,
  'token-classification': tokenClassification,
  'text-ranking': textRanking,
  'zero-shot-classification': zeroShotClassification,
  'fill-mask': fillMask,
} as const;

export const openTextTask = (files: TextTaskFiles, names: TensorNames): Task =>
  TASKS[files.task](readTextModel(files, names));
