/** The parts of a version that its text task uses. */
import type { TaskFiles, TextTaskName } from '@millrace/shared/model-files/task-files';
import { labelsOf } from '@millrace/shared/model-files/task-files';
import type { TensorNames } from '../files/task.ts';
import { type JsonObject, objectOf, readTaskJson } from '../files/task-json.ts';
import { Padding } from './sequences.ts';
import { padIdOf, TextTokenizer } from './tokens.ts';

export interface TextModel {
  /** config.json. */
  config: JsonObject;
  /** The labels of config.json, in the order of the model's outputs. */
  labels: readonly string[];
  /** 1_Pooling/config.json; undefined without the file. */
  pooling: JsonObject | undefined;
  /** The modules of modules.json. */
  modules: readonly unknown[];
  /** The tokenizer, which is loaded at the first call: an engine rarely needs the tokenizer. */
  tokenizer(): TextTokenizer;
  padding(): Padding;
}

export type TextTaskFiles = TaskFiles & { task: TextTaskName };

/** Reads the files of a text task. Throws an error for a file that is not the registered file, and for a model with other inputs. */
export function readTextModel(files: TextTaskFiles, names: TensorNames): TextModel {
  const read = (name: string): JsonObject => objectOf(readTaskJson(files, name));
  const config = read('config.json');
  const settings = read('tokenizer_config.json');
  const modules = readTaskJson(files, 'modules.json');
  const pooling = readTaskJson(files, '1_Pooling/config.json');
  const length = names.inputs.find(({ name }) => name === 'input_ids')?.shape[1];
  const padding = new Padding({
    names,
    padId: padIdOf(config),
    side: settings.padding_side === 'left' ? 'left' : 'right',
  });
  let tokenizer: TextTokenizer | undefined;
  return {
    config,
    labels: labelsOf(config),
    pooling: pooling === undefined ? undefined : objectOf(pooling),
    modules: Array.isArray(modules) ? modules : [],
    tokenizer() {
      tokenizer ??= new TextTokenizer({
        tokenizer: read('tokenizer.json'),
        settings,
        config,
        sentences: read('sentence_bert_config.json'),
        fixedLength: typeof length === 'number' ? length : undefined,
      });
      return tokenizer;
    },
    padding: () => padding,
  };
}
