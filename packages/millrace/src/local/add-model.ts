/** Adds a model file to the models folder as a version, after a check in a folder of its own. */
import { copyFile, cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { MODEL_NAME } from '@millrace/shared/model-files/model-folder';
import { readOnnxFile } from '@millrace/shared/model-files/onnx-file';
import { externalPath } from '@millrace/shared/model-files/read-version';
import type { Config } from '@millrace/shared/process/config';
import { compareVersions } from '@millrace/shared/registry/registry';
import { check, isGood, textOf } from './check-models.ts';
import { Refusal } from './command-line.ts';
import type { Print } from './print.ts';

interface AddParams {
  dir: string;
  file: string;
  name: string;
  /** The next number when absent. */
  version: string | undefined;
  config: Config;
  print: Print;
}

/** Checks a file in a separate folder, then renames the folder: workers scan the models folder at any time. */
export async function add({ dir, file, name, version, config, print }: AddParams): Promise<void> {
  requireName('model', name);
  requireName('version', version ?? '1');
  const folder = path.join(dir, name);
  const present = await readdir(folder).catch((): string[] => []);
  const numbers = present.filter((entry) => /^\d+$/.test(entry)).sort(compareVersions);
  const chosen = version ?? String(Number(numbers.at(-1) ?? 0) + 1);
  if (present.includes(chosen))
    throw new Refusal(`${name}/${chosen} exists already, and a version never changes. Choose another version.`);
  await mkdir(dir, { recursive: true });
  const trial = await mkdtemp(path.join(path.resolve(dir), '.adding-'));
  try {
    const target = path.join(trial, name, chosen);
    await copyModel(file, target);
    for (const part of present) await copyPart(path.join(folder, part), path.join(trial, name, part));
    const result = await check({ dir: trial, wanted: `${name}/${chosen}`, config });
    if (!isGood(result))
      throw new Refusal(
        `${textOf(result)}\n${name}/${chosen} was not added. Correct the fault above and add the file again.`,
      );
    await mkdir(folder, { recursive: true });
    await rename(target, path.join(folder, chosen));
    const added = path.join(folder, chosen);
    print(`${textOf(result)}\nadded as ${added}`, { added, ...result.versions[0] });
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

/** Copies what the versions of a model share: settings, the handler with its files, and entities. Links the installed packages. */
async function copyPart(from: string, to: string): Promise<void> {
  if (path.basename(from) === 'node_modules') return symlink(path.resolve(from), to, 'junction');
  if ((await readdir(from).catch((): string[] => [])).includes('model.onnx')) return;
  await cp(from, to, { recursive: true });
}

function requireName(kind: 'model' | 'version', text: string): void {
  if (MODEL_NAME.test(text)) return;
  throw new Refusal(
    `'${text}' is not a valid ${kind} name. Expected at most 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first.`,
  );
}

/** Copies the model file and its external data, which lies beside the file and belongs to the version. */
async function copyModel(file: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  await copyFile(file, path.join(target, 'model.onnx')).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`${file} cannot be read (${error.code}). Expected an .onnx file.`);
  });
  for (const location of await externalDataOf(path.join(target, 'model.onnx'))) {
    // Throws for a path outside the folder.
    const place = externalPath(target, location);
    await mkdir(path.dirname(place), { recursive: true });
    await copyFile(path.join(path.dirname(file), location), place).catch((error: NodeJS.ErrnoException) => {
      throw new Refusal(`The model reads its data from "${location}", which is not beside the model (${error.code}).`);
    });
  }
}

/** Returns the relative paths of the model's weights. A file that is not ONNX has none here; the check reports the file. */
const externalDataOf = (file: string): Promise<readonly string[]> =>
  readOnnxFile(file).then(
    ({ externalData }) => externalData,
    () => [],
  );
