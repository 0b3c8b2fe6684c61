/** Reads the conformance suite of the PyPI package `onnx`: data/<kind>/<test>/model.onnx and test_data_set_<n>/. */
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Tensor, TensorMap } from '@millrace/shared/tensors/tensor';
import { readTensor } from './tensor-file.ts';

export interface Case {
  /** The model's name in Millrace. */
  model: string;
  dir: string;
}

export async function findCases(data: string): Promise<Case[]> {
  const cases: Case[] = [];
  for (const kind of (await readdir(data)).sort()) {
    const folders = await readdir(path.join(data, kind), { withFileTypes: true });
    for (const { name } of folders.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const dir = path.join(data, kind, name);
      if (!(await readdir(dir)).includes('model.onnx')) continue;
      const plain = name.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-');
      // Some kinds have tests with equal names. A name has at most 100 characters.
      cases.push({ model: `${kind}.${plain.replace(/^test_/, '')}`.slice(0, 94), dir });
    }
  }
  const seen = new Map<string, number>();
  return cases.map((one) => {
    const before = seen.get(one.model) ?? 0;
    seen.set(one.model, before + 1);
    return before === 0 ? one : { ...one, model: `${one.model}.${before}` };
  });
}

/** Writes the models folder of all cases. */
export async function dropIn(cases: readonly Case[], modelsDir: string): Promise<void> {
  for (const { model, dir } of cases) {
    const version = path.join(modelsDir, model, '1');
    await mkdir(version, { recursive: true });
    for (const entry of await readdir(dir, { withFileTypes: true }))
      if (entry.isFile()) await cp(path.join(dir, entry.name), path.join(version, entry.name));
  }
}

export interface DataSet {
  inputs: TensorMap;
  outputs: Tensor[];
}

/** The data sets of a case. Tensors are in the order of the model's inputs, named by `inputNames`. */
export async function dataSets({ dir }: Case, inputNames: readonly string[]): Promise<DataSet[]> {
  const sets: DataSet[] = [];
  for (const name of (await readdir(dir)).filter((entry) => entry.startsWith('test_data_set_')).sort()) {
    const files = await readdir(path.join(dir, name));
    const read = (kind: string) =>
      Promise.all(
        files
          .filter((file) => file.startsWith(`${kind}_`))
          .sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b)))
          .map(async (file) => readTensor(await readFile(path.join(dir, name, file)))),
      );
    const given = await read('input');
    const inputs = Object.fromEntries(inputNames.map((input, at) => [input, given[at]!]).filter(([, one]) => one));
    sets.push({ inputs: inputs as TensorMap, outputs: await read('output') });
  }
  return sets;
}
