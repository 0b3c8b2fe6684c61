/** Composes an image task: decodes the images of a micro-batch, runs images of equal size together, and reads an output for each. */
import type { Static, TensorMap, TSchema } from '@millrace/shared/model-files/handler';
import type { TaskFiles } from '@millrace/shared/model-files/task-files';
import { toHalfBits } from '@millrace/shared/tensors/tensor-data';
import type { RunModel, Task, TensorNames } from '../files/task.ts';
import { objectOf, readTaskJson } from '../files/task-json.ts';
import { canonicalImage, ImageInput, type ImageRow } from './image-input.ts';
import type { PixelValues, Preprocessor } from './preprocessor.ts';

const INPUT = 'pixel_values';

export interface ImageTaskParts<O extends TSchema> {
  files: TaskFiles;
  names: TensorNames;
  output: O;
  /** The output of one row of the tensors. */
  read(tensors: TensorMap, row: number): Static<O>;
}

/** Throws an error for a model whose inputs are not exactly `pixel_values`. */
export function imageTask<O extends TSchema>({ files, names, output, read }: ImageTaskParts<O>): Task {
  const [input, ...others] = names.inputs.toSorted((a, b) => Number(b.name === INPUT) - Number(a.name === INPUT));
  if (input?.name !== INPUT || others.length > 0)
    throw new Error(
      `the task ${files.task} needs a model with the only input "${INPUT}", and this model has ${names.inputs.map(({ name }) => name).join(', ')}: export the part of the model that takes images`,
    );
  if (input.dtype !== 'float32' && input.dtype !== 'float16')
    throw new Error(`"${INPUT}" has the type ${input.dtype}: expected float32 or float16`);
  const config = objectOf(readTaskJson(files, 'preprocessor_config.json'));
  let preprocessor: Promise<Preprocessor> | undefined;
  // The API opens the task too, but never decodes an image.
  const open = () => {
    preprocessor ??= import('./preprocessor.ts').then(({ Preprocessor: Class }) => new Class(config));
    return preprocessor;
  };
  const isHalf = input.dtype === 'float16';
  return {
    input: ImageInput,
    output,
    canonicalize: (given) => canonicalImage(given as Static<typeof ImageInput>),
    async run(rows, model) {
      const decoder = await open();
      const images: PixelValues[] = [];
      // One after the other: a decoded image takes up to 200 MB.
      for (const row of rows) images.push(await decoder.valuesOf(Buffer.from((row as ImageRow).image, 'base64')));
      return runImages({ images, isHalf, model, read });
    },
    encode: () => {
      throw new Error('an image task runs the model itself');
    },
    decode: () => {
      throw new Error('an image task runs the model itself');
    },
  };
}

interface RunParams {
  images: readonly PixelValues[];
  isHalf: boolean;
  model: RunModel;
  read(tensors: TensorMap, row: number): unknown;
}

/** The outputs in the order of the images. */
async function runImages({ images, isHalf, model, read }: RunParams): Promise<unknown[]> {
  const outputs: unknown[] = new Array(images.length);
  const groups = Map.groupBy(images.keys(), (at) => `${images[at]?.width}x${images[at]?.height}`);
  for (const places of groups.values()) {
    const [first = 0] = places;
    const { width = 0, height = 0, values } = images[first] ?? { values: new Float32Array() };
    const data = new Float32Array(places.length * values.length);
    for (const [row, at] of places.entries()) data.set(images[at]?.values ?? [], row * values.length);
    const dims = [places.length, 3, height, width];
    const tensor = isHalf
      ? ({ dtype: 'float16', dims, data: Uint16Array.from(data, toHalfBits) } as const)
      : ({ dtype: 'float32', dims, data } as const);
    const made = await model({ [INPUT]: tensor });
    for (const [row, at] of places.entries()) outputs[at] = read(made, row);
  }
  return outputs;
}
