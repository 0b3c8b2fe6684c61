/** Reads the files of a version: its settings, its task and its digest, which covers all bytes that decide an output. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { canonicalJson } from '../text/canonical-json.ts';
import { digestHandler } from './handler-file.ts';
import { type ModelFile, ModelFileError, mergeModelFiles, parseModelFile } from './model-config.ts';
import { isFile, type ModelContent, type VersionFile, type VersionFiles } from './model-folder.ts';
import { type OnnxFile, OnnxFileError, readOnnxFile } from './onnx-file.ts';
import { digestOf } from './parts-digest.ts';
import { findTask, readTaskFiles, type TaskFiles, TaskFilesError } from './task-files.ts';
import { readLabels } from './triton-config.ts';

/** The digest of a version, with the settings that the digest covers. */
export interface VersionDigests {
  digest: string;
  /** The digest of handler.ts, or of the task; null for a model of raw tensors. */
  handlerDigest: string | null;
  /** The task that serves the version; null for a version with a handler, and for raw tensors. */
  task: TaskFiles | null;
  file: ModelFile;
}

/** A version with all facts for its registration. */
export interface FoundVersion extends VersionFiles, VersionDigests {
  content: ModelContent;
  /** The digests of earlier releases for the same files, which cover fewer files, with the settings and the task of that release. */
  earlier: readonly VersionDigests[];
  /** Entity name → SHA-256 of the CSV file, for the entities in model.json. */
  entityDigests: Readonly<Record<string, string>>;
  /** The named parts of the digest, without the name, the labels and the handler of the version. */
  parts: readonly (readonly [string, string])[];
  /** The name of the folder, for edited files that are served as a separate version. Absent for every other version. */
  editOf?: string;
}

/**
 * Reads a version completely: its settings and its digest. Throws ModelFileError with a sentence for each fault that the owner of
 * the files must fix, or the error of the file system.
 */
export async function readVersion(files: VersionFiles): Promise<FoundVersion> {
  const config = await readConfig(files);
  const folder = resolve(files.modelPath, '..');
  const onnx = await readOnnx(files.modelPath);
  const model = await hashFile(files.modelPath);
  const data: (VersionFile & { location: string })[] = [];
  const parts: [string, string][] = [['model', model.digest]];
  for (const location of onnx.externalData) {
    const path = externalPath(folder, location);
    if (!(await isFile(path)))
      throw new ModelFileError([
        `The model reads its data from "${location}", but the folder of the version has no such file.`,
      ]);
    const file = await hashFile(path);
    data.push({ ...file, location });
    parts.push([`data:${location}`, file.digest]);
  }
  const handler = files.handlerPath === null ? null : await digestHandler(files.handlerPath);
  const task = await taskOf(files, config, onnx);
  const own: ModelFile = task === null ? config : { ...config, task: task.task };
  const file = await withTritonLabels(own, files.labelPaths);
  const entityDigests: Record<string, string> = {};
  for (const entity of file.entities ?? []) {
    const path = files.entityPaths[entity];
    if (path === undefined)
      throw new ModelFileError([
        `model.json names the entity "${entity}", but the file entities/${entity}.csv does not exist.`,
      ]);
    entityDigests[entity] = (await hashFile(path)).digest;
    parts.push([`entity:${entity}`, entityDigests[entity]]);
  }
  const digests = { ...files, parts, file, task };
  // Earlier releases knew no tasks, and did not read Triton's labels.
  const before = { ...digests, file: config, task: null };
  const known = config.task === undefined || config.task === 'none' ? (handler?.earlier ?? [null]) : [];
  return {
    ...files,
    ...digestsWith(digests, task?.digest ?? handler?.digest ?? null),
    earlier: known.map((earlier) => digestsWith(before, earlier)),
    content: { model, data },
    entityDigests,
    parts,
  };
}

/** The digest includes the name: a prediction names its model and version, also a prediction from the cache. */
function digestsWith(
  { model, version, parts, file, task }: Pick<FoundVersion, 'model' | 'version' | 'parts' | 'file' | 'task'>,
  handlerDigest: string | null,
): VersionDigests {
  const handler: [string, string][] = handlerDigest === null ? [] : [['handler', handlerDigest]];
  return {
    digest: digestOf([['name', `${model}/${version}`], ...parts, ...labelParts(file), ...handler]),
    handlerDigest,
    file,
    task,
  };
}

/** The same files as another version of the model. */
export function asEdit(found: FoundVersion, version: string): FoundVersion {
  const edit = { ...found, version, editOf: found.version };
  return {
    ...edit,
    ...digestsWith(edit, found.handlerDigest),
    earlier: found.earlier.map((earlier) => digestsWith({ ...edit, ...earlier }, earlier.handlerDigest)),
  };
}

/** Labels are the only setting in outputs. Other settings may change without a new version. */
const labelParts = ({ labels }: ModelFile): [string, string][] =>
  labels === undefined ? [] : [['labels', canonicalJson(labels)]];

/** Adds the labels of Triton's files to the settings. The labels in model.json win. */
async function withTritonLabels(file: ModelFile, labelPaths: VersionFiles['labelPaths']): Promise<ModelFile> {
  const labels: Record<string, string[]> = {};
  for (const [output, path] of Object.entries(labelPaths))
    if (await isFile(path)) labels[output] = await readLabels(path);
  return Object.keys(labels).length === 0 ? file : { ...file, labels: { ...labels, ...file.labels } };
}

/** The task of a version: the task of model.json, or the task of its Hugging Face folder. Throws ModelFileError. */
async function taskOf(files: VersionFiles, { task: named }: ModelFile, onnx: OnnxFile): Promise<TaskFiles | null> {
  if (named === 'none' || (named === undefined && files.handlerPath !== null)) return null;
  if (files.handlerPath !== null)
    throw new ModelFileError([
      `model.json has the task "${named}", but the version also has a handler.ts: remove one of the two.`,
    ]);
  const task = named ?? (await findTask(files.folder, onnx.inputs));
  if (task === undefined) return null;
  try {
    return await readTaskFiles(files.folder, task);
  } catch (error) {
    throw error instanceof TaskFilesError ? new ModelFileError([error.message]) : error;
  }
}

/** Reads the settings of a version: the model.json of the model, overridden by the version's. Throws ModelFileError. */
export async function readConfig(files: VersionFiles): Promise<ModelFile> {
  let merged: ModelFile = {};
  for (const path of files.configPaths) {
    const name = relative(resolve(files.folder, '../..'), path);
    merged = mergeModelFiles(merged, parseModelFile(await readFile(path, 'utf8'), name));
  }
  return merged;
}

const LFS_POINTER = 'version https://git-lfs';

async function readOnnx(path: string): Promise<OnnxFile> {
  try {
    return await readOnnxFile(path);
  } catch (error) {
    if (!(error instanceof OnnxFileError)) throw error;
    const start = await readStart(path, LFS_POINTER.length);
    const reason =
      start === LFS_POINTER ? 'the file is a pointer of Git LFS: run `git lfs pull` to get the model' : error.message;
    throw new ModelFileError([`model.onnx cannot be used: ${reason}.`]);
  }
}

async function readStart(path: string, bytes: number): Promise<string> {
  let text = '';
  for await (const chunk of createReadStream(path, { end: bytes - 1, encoding: 'latin1' })) text += chunk;
  return text;
}

/** Returns the path of external data. Throws ModelFileError for a path outside the folder of the version. */
export function externalPath(folder: string, location: string): string {
  const path = resolve(folder, location);
  const inside = relative(folder, path);
  const leaves = inside === '' || isAbsolute(inside) || inside.split(/[\\/]/)[0] === '..';
  if (location === '' || isAbsolute(location) || location.includes('\\') || location.includes('\0') || leaves)
    throw new ModelFileError([`The model reads data from "${location}", which is outside its own folder.`]);
  return path;
}

async function hashFile(path: string): Promise<VersionFile> {
  const digest = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) {
    digest.update(chunk);
    bytes += chunk.length;
  }
  return { path, bytes, digest: digest.digest('hex') };
}
