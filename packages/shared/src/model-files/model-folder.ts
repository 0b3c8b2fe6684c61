/**
 * Reads the models folder (MODELS_DIR): `<model>/<version>/model.onnx`. model.json, handler.ts and entities/ are in the folder of
 * the model, or for a single version in the folder of the version. The digest of a version covers all bytes that decide an output.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { canonicalJson } from '../text/canonical-json.ts';
import { digestHandler, handlerFiles } from './handler-file.ts';
import { type ModelFile, ModelFileError, mergeModelFiles, parseModelFile } from './model-config.ts';
import { type OnnxFile, OnnxFileError, readOnnxFile } from './onnx-file.ts';
import { digestOf } from './parts-digest.ts';
import { findTask, readTaskFiles, TASK_FILE_NAMES, type TaskFiles, TaskFilesError } from './task-files.ts';
import {
  NO_TRITON_CONFIG,
  readLabels,
  readTritonConfig,
  TRITON_CONFIG,
  type TritonConfig,
  TritonConfigError,
} from './triton-config.ts';

export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** The files of a version. Paths are absolute. */
export interface VersionFiles {
  model: string;
  version: string;
  /** The folder of the version. Absolute, as all paths. */
  folder: string;
  /** `model.onnx`, `model.onnx/model.onnx` or `onnx/model.onnx`: external data is in the folder of this file. */
  modelPath: string;
  handlerPath: string | null;
  /** The existing files model.json of the model, then of the version. */
  configPaths: readonly string[];
  /** Entity name → CSV file, for all CSV files. model.json selects the entities that are read. */
  entityPaths: Readonly<Record<string, string>>;
  /** Output name → file of labels, from Triton's config.pbtxt. */
  labelPaths: Readonly<Record<string, string>>;
}

/** A file in the digest of a version. Users of the file compare the bytes, because the file may be replaced meanwhile. */
export interface VersionFile {
  /** Absolute. */
  path: string;
  bytes: number;
  /** SHA-256 (hex). */
  digest: string;
}

/** The files of a version that onnxruntime loads. */
export interface ModelContent {
  model: VersionFile;
  /** External data. `location` is the path as written in model.onnx. */
  data: readonly (VersionFile & { location: string })[];
}

/** The bytes of all files of a version that onnxruntime loads. */
export const contentBytes = ({ model, data }: ModelContent): number =>
  data.reduce((sum, { bytes }) => sum + bytes, model.bytes);

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

/** A problem in the models folder, for the owner of the files. */
export interface FolderProblem {
  /** Relative to MODELS_DIR. */
  path: string;
  message: string;
}

/** Lists the versions and the problems of a models folder. Reads names only. Throws when `dir` cannot be read. */
export async function listVersions(dir: string): Promise<{ versions: VersionFiles[]; problems: FolderProblem[] }> {
  const versions: VersionFiles[] = [];
  const problems: FolderProblem[] = [];
  for (const file of await onnxIn(dir))
    problems.push({
      path: file,
      message: `A model needs a folder of its own: move ${file} to ${file.slice(0, -5).toLowerCase()}/1/model.onnx.`,
    });
  for (const model of await foldersIn(dir)) {
    const folder = resolve(dir, model);
    for (const file of await onnxIn(folder))
      problems.push({
        path: model,
        message: `A version needs a folder of its own: move ${model}/${file} to ${model}/1/model.onnx.`,
      });
    const triton = await readTritonConfig(folder).catch((error: unknown) => {
      if (!(error instanceof TritonConfigError)) throw error;
      problems.push({ path: model, message: `${model}/${TRITON_CONFIG} is ignored: ${error.message}.` });
      return NO_TRITON_CONFIG;
    });
    for (const version of await foldersIn(folder)) {
      const path = `${model}/${version}`;
      const modelPath = await modelFileIn(join(folder, version), triton.modelFile);
      if (modelPath === undefined) {
        const [other] = await onnxIn(join(folder, version));
        if (other !== undefined)
          problems.push({ path, message: await noModelFile(join(folder, version), triton.modelFile, other) });
        continue;
      }
      if (version === 'onnx' && (await isFile(join(folder, 'config.json'))))
        problems.push({
          path: model,
          message: `${model} is a Hugging Face folder: a version needs a folder of its own. Move all files of ${model} to ${model}/1/.`,
        });
      const bad = [model, version].find((name) => !MODEL_NAME.test(name));
      if (bad === undefined) versions.push(await filesOf({ folder, model, version, modelPath, triton }));
      else
        problems.push({
          path,
          message: `"${bad}" cannot be a name: use at most 100 characters of a-z, 0-9, '.', '_' and '-'.`,
        });
    }
  }
  return { versions, problems };
}

/**
 * The model file of a version: `model.onnx` or the name in config.pbtxt; `model.onnx/model.onnx`, which is Triton's layout of a
 * model of several files; or `onnx/model.onnx` of a Hugging Face folder. The external data is in the same folder as the model file.
 * Undefined without a model file.
 */
async function modelFileIn(version: string, name: string): Promise<string | undefined> {
  const path = join(version, name);
  if (await isFile(path)) return path;
  for (const other of [join(path, 'model.onnx'), join(version, 'onnx', 'model.onnx')])
    if (await isFile(other)) return other;
  return undefined;
}

/** The reason that a version has no model file although its folder has an entry `other`. */
async function noModelFile(path: string, name: string, other: string): Promise<string> {
  const shown = path.split(sep).slice(-2).join('/');
  const info = await lstat(join(path, name)).catch(() => undefined);
  if (info === undefined) {
    const origin = name === NO_TRITON_CONFIG.modelFile ? '' : ` by default_model_filename in ${TRITON_CONFIG}`;
    return `The file of a version must be named ${name}${origin}: rename ${shown}/${other}.`;
  }
  if (info.isDirectory()) return `${shown}/${name} is a directory: expected the file ${shown}/${name}/model.onnx.`;
  const kind = info.isSymbolicLink() ? 'a link without a target' : 'not a regular file';
  return `${shown}/${name} is ${kind}: expected the file of the model.`;
}

interface VersionPlace {
  /** The folder of the model. */
  folder: string;
  model: string;
  version: string;
  modelPath: string;
  triton: TritonConfig;
}

async function filesOf({ folder, model, version, modelPath, triton }: VersionPlace): Promise<VersionFiles> {
  const own = join(folder, version);
  const [ownHandler, handler, modelConfig, ownConfig] = await Promise.all(
    [join(own, 'handler.ts'), join(folder, 'handler.ts'), join(folder, 'model.json'), join(own, 'model.json')].map(
      async (path) => ((await isFile(path)) ? path : undefined),
    ),
  );
  const entityPaths: Record<string, string> = {};
  for (const base of [folder, own])
    for (const entry of await namesIn(join(base, 'entities')))
      if (entry.endsWith('.csv')) entityPaths[entry.slice(0, -4)] = join(base, 'entities', entry);
  const configPaths = [modelConfig, ownConfig].filter((path) => path !== undefined);
  return {
    model,
    version,
    folder: own,
    modelPath,
    handlerPath: ownHandler ?? handler ?? null,
    configPaths,
    entityPaths,
    labelPaths: triton.labelPaths,
  };
}

/**
 * Size, times and inode of every file of a version, and the time of the newest change (Unix ms). A version is read only when two
 * fingerprints with some time between are equal. Until then the files may be incomplete.
 */
export async function fingerprint(files: VersionFiles): Promise<{ text: string; newestMs: number }> {
  const folders = [...new Set([files.folder, resolve(files.modelPath, '..')])];
  const inFolder = (
    await Promise.all(folders.map(async (folder) => (await namesIn(folder)).map((name) => join(folder, name))))
  ).flat();
  const handler = files.handlerPath === null ? [] : await handlerFiles(files.handlerPath).catch(() => []);
  const ofTask = TASK_FILE_NAMES.filter((name) => name.includes('/')).map((name) => join(files.folder, name));
  const settings = [...ofTask, ...files.configPaths, ...Object.values(files.labelPaths)];
  const paths = [...inFolder, ...settings, ...Object.values(files.entityPaths), ...handler];
  let text = '';
  let newestMs = 0;
  for (const path of [...new Set(paths)].sort()) {
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) continue;
    text += `${path}:${info.size}:${info.mtimeMs}:${info.ctimeMs}:${info.ino}\n`;
    newestMs = Math.max(newestMs, info.mtimeMs, info.ctimeMs);
  }
  return { text, newestMs };
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

async function foldersIn(dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const linked = entry.isSymbolicLink() && (await stat(join(dir, entry.name)).catch(() => undefined))?.isDirectory();
    if (entry.isDirectory() || linked) names.push(entry.name);
  }
  return names.sort();
}

/** Names of misplaced .onnx files. */
async function onnxIn(dir: string): Promise<string[]> {
  return (await namesIn(dir)).filter((name) => name.endsWith('.onnx') && !name.startsWith('.'));
}

async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).sort();
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
