/**
 * Tasks: handlers that Millrace brings along for Hugging Face folders. Finds the task of a version from the files beside its model,
 * and the files that decide the outputs of the task.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OnnxValue } from './onnx-file.ts';
import { digestOf } from './parts-digest.ts';

const TEXT_TASKS = [
  'feature-extraction',
  'text-classification',
  'token-classification',
  'text-ranking',
  'zero-shot-classification',
  'fill-mask',
] as const;
const IMAGE_TASKS = ['image-classification', 'image-feature-extraction'] as const;

/** The names of all tasks. */
export const TASKS = [...TEXT_TASKS, ...IMAGE_TASKS] as const;

export type TextTaskName = (typeof TEXT_TASKS)[number];
export type ImageTaskName = (typeof IMAGE_TASKS)[number];
export type TaskName = TextTaskName | ImageTaskName;

/** `task` of model.json. `none` serves the tensors of the model although the folder has the files of a task. */
export const TaskSetting = {
  enum: [...TASKS, 'none'],
  description:
    'What the model does, for a Hugging Face folder. Default: found from config.json and modules.json. `none` serves tensors.',
} as const;

const TEXT = { text: 'Hello, world' };
const EXAMPLES: Readonly<Partial<Record<TaskName, readonly unknown[]>>> = {
  'feature-extraction': [TEXT],
  'text-classification': [TEXT],
  'token-classification': [{ text: 'Ada Lovelace lived in London.' }],
  'text-ranking': [{ query: 'Where is Bern?', text: 'Bern is the capital of Switzerland.' }],
  'zero-shot-classification': [{ text: 'The trains to Bern are late again.', labels: ['travel', 'cooking'] }],
};

/** The examples of a version whose model.json has none. The mask token of fill-mask, and images, depend on the model. */
export const examplesOf = (task: TaskName | 'none' | undefined): readonly unknown[] =>
  (task === undefined || task === 'none' ? undefined : EXAMPLES[task]) ?? [];

/** A file of a task, by its name relative to the folder, with its SHA-256 (hex). */
export interface TaskFile {
  name: string;
  digest: string;
}

/** The files of a task. A handler of the user has `path` instead of `task`. */
export interface TaskFiles {
  task: TaskName;
  /** The folder of the version. Absolute. */
  folder: string;
  files: readonly TaskFile[];
  /** The digest of the task's name and files. */
  digest: string;
}

const TEXT_FILES = [
  '1_Pooling/config.json',
  'config.json',
  'modules.json',
  'sentence_bert_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
];
const IMAGE_FILES = ['config.json', 'modules.json', 'preprocessor_config.json'];
const FILE_MAX = 256 * 1_048_576;

const isTextTask = (task: TaskName): task is TextTaskName => TEXT_TASKS.some((name) => name === task);

/** Whether a task is one of a Hugging Face folder with images. */
export const isImageTask = (task: TaskName): task is ImageTaskName => !isTextTask(task);

/** The names of the files that a task cannot do without. */
const requiredOf = (task: TaskName): readonly string[] =>
  isTextTask(task) ? ['config.json', 'tokenizer.json'] : ['config.json', 'preprocessor_config.json'];

/** All names of files of any task, relative to the folder of a version. */
export const TASK_FILE_NAMES: readonly string[] = [...new Set([...TEXT_FILES, ...IMAGE_FILES])];

/** The task of a folder cannot be served. The message is a sentence for the owner of the files. */
export class TaskFilesError extends Error {
  override name = 'TaskFilesError';
}

/** Reads the digests of the files of a task. Throws TaskFilesError for a missing file. */
export async function readTaskFiles(folder: string, task: TaskName): Promise<TaskFiles> {
  const names = isTextTask(task) ? TEXT_FILES : IMAGE_FILES;
  const files: TaskFile[] = [];
  for (const name of names) {
    const digest = await digestOfFile(join(folder, name));
    if (digest !== undefined) files.push({ name, digest });
  }
  const missing = requiredOf(task).find((name) => !files.some((file) => file.name === name));
  if (missing !== undefined)
    throw new TaskFilesError(
      `The task ${task} needs the file ${missing} in the folder of the version: copy the whole Hugging Face folder${
        missing === 'tokenizer.json' ? ', saved with a fast tokenizer' : ''
      }.`,
    );
  const digest = digestOf([['task', task], ...files.map(({ name, digest }) => [`file:${name}`, digest] as const)]);
  return { task, folder, files, digest };
}

async function digestOfFile(path: string): Promise<string | undefined> {
  const digest = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) {
      digest.update(chunk);
      bytes += chunk.length;
      if (bytes > FILE_MAX) throw new TaskFilesError(`The file ${path} has more than ${FILE_MAX} bytes.`);
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
  return digest.digest('hex');
}

/** The members of config.json that name the task. */
interface ModelDescription {
  architectures?: unknown;
  id2label?: unknown;
  label2id?: unknown;
}

/**
 * Finds the task of a folder without `task` in model.json. Undefined if the folder is not a Hugging Face folder of a known task, or if
 * the model does not have the input of the task.
 */
export async function findTask(folder: string, inputs: readonly OnnxValue[]): Promise<TaskName | undefined> {
  const takes = (name: string) => inputs.some((input) => input.name === name);
  if (!takes('input_ids') && !takes('pixel_values')) return undefined;
  const config = (await jsonOf(join(folder, 'config.json'))) as ModelDescription | undefined;
  if (typeof config !== 'object' || config === null) return undefined;
  const { architectures } = config;
  const [architecture] = Array.isArray(architectures) ? architectures : [];
  if (typeof architecture !== 'string') return undefined;
  const task = takes('input_ids')
    ? textTask({ architecture, config, isSentences: (await jsonOf(join(folder, 'modules.json'))) !== undefined })
    : imageTask(architecture);
  const areThere = await Promise.all(requiredOf(task).map((name) => isFile(join(folder, name))));
  return areThere.every(Boolean) ? task : undefined;
}

function textTask({
  architecture,
  config,
  isSentences,
}: {
  architecture: string;
  config: ModelDescription;
  isSentences: boolean;
}): TextTaskName {
  if (architecture.endsWith('ForTokenClassification')) return 'token-classification';
  if (architecture.endsWith('ForSequenceClassification')) {
    const labels = labelsOf(config);
    if (labels.length === 1) return 'text-ranking';
    return labels.some((label) => label.toLowerCase() === 'entailment')
      ? 'zero-shot-classification'
      : 'text-classification';
  }
  // Models of sentence-transformers keep the architecture of their base model.
  return architecture.endsWith('ForMaskedLM') && !isSentences ? 'fill-mask' : 'feature-extraction';
}

const imageTask = (architecture: string): ImageTaskName =>
  architecture.endsWith('ForImageClassification') ? 'image-classification' : 'image-feature-extraction';

/** The labels of config.json, in the order of the model's outputs. */
export function labelsOf({ id2label, label2id }: Pick<ModelDescription, 'id2label' | 'label2id'>): string[] {
  if (typeof id2label === 'object' && id2label !== null)
    return Object.entries(id2label)
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, label]) => String(label));
  if (typeof label2id !== 'object' || label2id === null) return [];
  return Object.entries(label2id)
    .sort(([, a], [, b]) => Number(a) - Number(b))
    .map(([label]) => label);
}

const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() ?? false;

const DESCRIPTION_MAX = 16 * 1_048_576;

async function jsonOf(path: string): Promise<unknown> {
  try {
    const text = await readFile(path, 'utf8');
    return text.length > DESCRIPTION_MAX ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
